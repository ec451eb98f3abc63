"""The trainer of all architectures, for metatrain; its defaults are the recipe of the PET-MAD-DOS paper."""

import copy
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Optional

import torch
from metatrain.utils.abc import ModelInterface, TrainerInterface
from metatrain.utils.data import Dataset, DatasetInfo
from metatrain.utils.distributed.distributed_data_parallel import DistributedDataParallel
from metatrain.utils.io import check_file_extension
from metatrain.utils.logging import ROOT_LOGGER, MetricLogger
from torch.utils.data import Subset

from electrain.files.replacing import atomically
from electrain.files.upgrades import Upgrade, upgrade
from electrain.interface.capabilities import check_names_and_units
from electrain.nn.precision import MatmulPrecision

from .batches import Loaders, fit_baselines, intensive_targets, make_loaders
from .checks import check_axis, check_batches, check_elements, check_epochs, check_targets
from .composition import Datasets
from .epoch import OptimizerStep, run_epoch
from .errors import EpochErrors, selected_error
from .finetuning import (
    check_finetuning,
    check_same_strategy,
    continue_training,
    read_strategy,
    start_finetuning,
    trained_parameters,
)
from .hypers import TrainerHypers
from .losses import Objective, default_losses
from .processes import Process, start_process
from .schedule import make_schedule, resume
from .seeding import seed_epoch
from .terms import LossTerm


class SpectralTrainer(TrainerInterface[TrainerHypers]):
    """Trains a model on any combination of targets and keeps the best model.

    An architecture assigns the class attributes below; most need nothing else.

    :param hypers: see :class:`~electrain.training.hypers.TrainerHypers`.
    """

    model_class: type[Any] = ModelInterface  # the architecture's
    upgrades: Mapping[int, Upgrade] = MappingProxyType({})  # of older checkpoints

    def __init__(self, hypers: TrainerHypers) -> None:
        super().__init__(hypers)
        self.seed = torch.initial_seed() % 2**32
        self.epoch: Optional[int] = None
        self.best_epoch: Optional[int] = None
        self.best_metric = float("inf")
        self.best_model_state_dict: Optional[dict[str, Any]] = None
        self.optimizer_state_dict: Optional[dict[str, Any]] = None
        self.scheduler_state_dict: Optional[dict[str, Any]] = None
        self.strategy = read_strategy(self.hypers.get("finetune"))
        self.strategy_of_checkpoint = self.strategy
        self.trainable_parameters: Optional[list[str]] = None

    def train(
        self,
        model: Any,
        dtype: torch.dtype,
        devices: list[torch.device],
        train_datasets: list[Dataset | Subset],
        val_datasets: list[Dataset | Subset],
        checkpoint_dir: str,
    ) -> None:
        """Train for ``num_epochs`` epochs in total, including those before a restart."""
        hypers = self.hypers
        if not isinstance(model, self.model_class):
            raise ValueError(
                f"`finetune.read_from` must be a checkpoint of {self.model_class.architecture}, got a model of type "
                f"{type(model).__name__}"
            )
        process = start_process(hypers.get("distributed"), hypers["distributed_port"], devices)
        self.check(model, process)
        self._check_options(model, train_datasets, val_datasets, Path(checkpoint_dir))
        logging.info(f"Training on {process.world_size} device(s) of type {process.device} with dtype {dtype}")
        model.to(device=process.device, dtype=dtype)
        fit_baselines(model, train_datasets, hypers, process, checkpoint_dir)
        self._choose_parameters(model)
        targets = model.dataset_info.targets
        loaders = make_loaders(model, targets, train_datasets, val_datasets, hypers, process)
        objective = Objective(self.losses(model))
        wrapped = self.wrap(model, process)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        # fused: one pass over all parameters, which gives the same step
        optimizer = torch.optim.Adam(trained, lr=hypers["learning_rate"], fused=True)
        scheduler = make_schedule(optimizer, len(loaders.train), hypers)
        if model.new_targets:
            # The best model so far lacks the new heads, and its error does not count the new targets.
            self.best_epoch, self.best_metric, self.best_model_state_dict = None, float("inf"), None
        elif self.optimizer_state_dict and self.scheduler_state_dict:
            resume(optimizer, scheduler, self.optimizer_state_dict, self.scheduler_state_dict)

        step = OptimizerStep(model, optimizer, scheduler, hypers["grad_clip_norm"], process)
        self._take_over(self.epoch, optimizer, scheduler)
        logging.info("Starting training")
        try:
            with MatmulPrecision(hypers["matmul_precision"], model).in_use():
                for epoch, errors in self._epochs(
                    wrapped, model.dataset_info, loaders, objective, process, dtype, step
                ):
                    self._keep_if_best(model, errors[1], epoch)
                    self._take_over(epoch, optimizer, scheduler)
                    if (epoch + 1) % hypers["checkpoint_interval"] == 0 and process.rank == 0:
                        self.save_checkpoint(model, Path(checkpoint_dir) / f"model_{epoch}.ckpt")
        except FloatingPointError:
            if process.rank == 0 and self.epoch is not None:
                path = Path(checkpoint_dir) / "model_before_failure.ckpt"
                logging.info(f"Saving the best model so far to {path}")
                self.save_checkpoint(model, path)
            raise
        if process.is_distributed:
            # The model first: as the last owner of the process group, it would wait for threads that wait for Python.
            del wrapped
            torch.distributed.destroy_process_group()

    def check(self, model: Any, process: Process) -> None:
        """Raise a ``ValueError`` for a model that cannot be trained here, before any work is done."""
        check_names_and_units(model.dataset_info.targets)

    def _check_options(self, model: Any, train_datasets: Datasets, val_datasets: Datasets, folder: Path) -> None:
        """Check the options against model and data, all before the baselines are fitted, which can take minutes."""
        settings = self.hypers.get("finetune")
        if self.optimizer_state_dict is not None:
            check_same_strategy(self.strategy_of_checkpoint, self.strategy)
        elif settings is not None:
            check_finetuning(model, self.strategy, settings.get("inherit_heads", {}))
        targets = model.dataset_info.targets
        check_epochs(self.hypers, 0 if self.epoch is None else self.epoch + 1, model.new_targets)
        check_targets(self.hypers, targets, model)
        check_elements(folder, train_datasets, val_datasets)
        check_batches(self.hypers, train_datasets, val_datasets)
        self.losses(model)  # refuses options that they do not have
        if model.axis is not None:
            continued = settings is not None or self.epoch is not None
            check_axis(model.axis, model.density_of_states, folder, of_checkpoint=continued)

    def losses(self, model: Any) -> list[LossTerm]:
        """Return the terms of the loss, those of spectra first; default: those in the table of quantities."""
        targets = model.dataset_info.targets
        per_structure = intensive_targets(targets, self.hypers["per_structure_targets"])
        return default_losses(targets, self.hypers["loss"], model.axis, per_structure, model.scaler)

    def wrap(self, model: Any, process: Process) -> torch.nn.Module:
        """Return the module called in training steps: the model, or a wrapper around it."""
        return DistributedDataParallel(model, device_ids=[process.device]) if process.is_distributed else model

    def _choose_parameters(self, model: Any) -> None:
        """Start fine-tuning if the options request it; after a restart, train the same parameters as before."""
        settings = self.hypers.get("finetune")
        if self.optimizer_state_dict is not None:
            if self.trainable_parameters is not None:
                continue_training(model, self.trainable_parameters)
        elif settings is not None:
            start_finetuning(model, self.strategy, settings.get("inherit_heads", {}))
        self.trainable_parameters = trained_parameters(model)

    def _epochs(
        self,
        model: Any,
        info: DatasetInfo,
        loaders: Loaders,
        objective: Objective,
        process: Process,
        dtype: torch.dtype,
        step: OptimizerStep,
    ) -> Iterator[tuple[int, list[dict[str, float]]]]:
        """Run, log and yield the remaining epochs with the errors of both sets."""
        metric_logger = None
        for epoch in range(0 if self.epoch is None else self.epoch + 1, self.hypers["num_epochs"]):
            seed_epoch(self.seed, epoch, process.rank)
            learning_rate = step.optimizer.param_groups[0]["lr"]
            for sampler in loaders.epoch_samplers:
                sampler.set_epoch(epoch)
            errors = self._run_both_sets(model, info, loaders, objective, process, dtype, step)
            if metric_logger is None:
                metric_logger = MetricLogger(ROOT_LOGGER, info, errors, ["training", "validation"])
            if epoch % self.hypers["log_interval"] == 0:
                metric_logger.log(errors, epoch=epoch, rank=process.rank, learning_rate=learning_rate)
            yield epoch, errors

    def _run_both_sets(
        self,
        model: Any,
        info: DatasetInfo,
        loaders: Loaders,
        objective: Objective,
        process: Process,
        dtype: torch.dtype,
        step: OptimizerStep,
    ) -> list[dict[str, float]]:
        """Return the errors of a training epoch, then of the validation set."""
        results = []
        for batches, update in ((loaders.train, step), (loaders.validation, None)):
            errors = EpochErrors(objective.terms, process)
            results.append(run_epoch(model, batches, info.targets, objective, errors, dtype, update))
        return results

    def _keep_if_best(self, model: Any, errors: dict[str, float], epoch: int) -> None:
        metric = selected_error(errors, self.hypers["best_model_metric"])
        if metric < self.best_metric:
            self.best_metric = metric
            self.best_epoch = epoch
            self.best_model_state_dict = copy.deepcopy(model.state_dict())

    def _take_over(self, epoch: Optional[int], optimizer: torch.optim.Optimizer, scheduler: Any) -> None:
        self.epoch = epoch
        self.optimizer_state_dict = optimizer.state_dict()
        self.scheduler_state_dict = scheduler.state_dict()

    def save_checkpoint(self, model: ModelInterface, path: str | Path) -> None:
        """Write the state of model and trainer; the file appears only once it is complete."""
        checkpoint = model.get_checkpoint()
        checkpoint.update(
            {
                "trainer_ckpt_version": self.__checkpoint_version__,
                "train_hypers": self.hypers,
                "seed": self.seed,
                "epoch": self.epoch,
                "optimizer_state_dict": self.optimizer_state_dict,
                "scheduler_state_dict": self.scheduler_state_dict,
                "best_epoch": self.best_epoch,
                "best_metric": self.best_metric,
                "trainable_parameters": self.trainable_parameters,
            }
        )
        if self.best_model_state_dict is not None:
            checkpoint["best_model_state_dict"] = self.best_model_state_dict
        with atomically(Path(check_file_extension(path, ".ckpt"))) as unfinished:
            torch.save(checkpoint, unfinished)

    @classmethod
    def load_checkpoint(
        cls, checkpoint: dict[str, Any], hypers: TrainerHypers, context: Literal["restart", "finetune"]
    ) -> "SpectralTrainer":
        """Continue a training (restart), or start a new one on other data (finetune)."""
        trainer = cls(hypers)
        if context == "finetune":
            return trainer
        trainer.seed = checkpoint["seed"]
        trainer.epoch = checkpoint["epoch"]
        trainer.optimizer_state_dict = checkpoint["optimizer_state_dict"]
        trainer.scheduler_state_dict = checkpoint["scheduler_state_dict"]
        trainer.best_epoch = checkpoint["best_epoch"]
        trainer.best_metric = checkpoint["best_metric"]
        trainer.best_model_state_dict = checkpoint["best_model_state_dict"]
        trainer.trainable_parameters = checkpoint["trainable_parameters"]
        trainer.strategy_of_checkpoint = read_strategy(checkpoint["train_hypers"].get("finetune"))
        return trainer

    @classmethod
    def upgrade_checkpoint(cls, checkpoint: dict[str, Any]) -> dict[str, Any]:
        """Upgrade an older checkpoint to the current version."""
        return upgrade(checkpoint, "trainer", cls.upgrades, cls.__checkpoint_version__)
