"""The trainer of all architectures, for metatrain; its defaults are the recipe of the PET-MAD-DOS paper."""

import copy
import logging
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Optional

import torch
from metatrain.utils.abc import ModelInterface, TrainerInterface
from metatrain.utils.data import Dataset
from metatrain.utils.io import check_file_extension
from torch.utils.data import Subset

from electrain.files.checkpoints import write_checkpoint
from electrain.files.upgrades import Upgrade, upgrade
from electrain.interface.capabilities import check_names_and_units
from electrain.nn.precision import MatmulPrecision

from .batches import Loaders, fit_baselines, intensive_targets, make_loaders
from .checks import (
    check_axis,
    check_bands_of_data,
    check_batches,
    check_elements,
    check_epochs,
    check_fixed_axes,
    check_targets,
)
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
from .processes import Process, leave, lost_processes_named, start_process
from .progress import EpochLog
from .schedule import make_optimizer, make_schedule, resume
from .seeding import agree_on_seed, seed_epoch
from .silencing import silence_warnings
from .starting import start_network
from .stopping import StopRequest, StopTraining, noticing_signals
from .terms import LossTerm


class Run(NamedTuple):
    """Everything that an epoch needs."""

    model: Any
    called: torch.nn.Module  # the model or a wrapper around it
    loaders: Loaders
    objective: Objective
    dtype: torch.dtype
    step: OptimizerStep
    process: Process
    request: StopRequest


def in_fixed_order(hypers: TrainerHypers) -> dict[str, Any]:
    """Sort the losses by target: metatrain fills them in in random order, and equal trainings give equal files."""
    loss = hypers["loss"]
    return {**hypers, "loss": loss if isinstance(loss, str) else dict(sorted(loss.items()))}


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
        self.model_state_dict: Optional[dict[str, Any]] = None  # after the last epoch of this run
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
        """Train for ``num_epochs`` epochs in total, including those before a restart.

        :raises SystemExit: at the end of all processes but the first one if torchrun has started several, and if a
            signal has stopped the training, after the last full epoch was saved.
        """
        hypers = self.hypers
        if not isinstance(model, self.model_class):
            raise ValueError(
                f"`finetune.read_from` must be a checkpoint of {self.model_class.architecture}, got a model of type "
                f"{type(model).__name__}"
            )
        silence_warnings()
        process = start_process(hypers.get("distributed"), hypers["distributed_port"], devices)
        try:
            with lost_processes_named(process):
                self._train(model, dtype, process, train_datasets, val_datasets, checkpoint_dir)
        except StopTraining as stop:
            leave(process, checkpoint_dir)
            raise SystemExit(stop.exit_code) from None
        if leave(process, checkpoint_dir):
            raise SystemExit(0)

    def _train(
        self,
        model: Any,
        dtype: torch.dtype,
        process: Process,
        train_datasets: Datasets,
        val_datasets: Datasets,
        checkpoint_dir: str,
    ) -> None:
        hypers, folder = self.hypers, Path(checkpoint_dir)
        self.check(model, process)
        self._check_options(model, train_datasets, val_datasets, folder)
        self.seed = agree_on_seed(self.seed, [*train_datasets, *val_datasets], process)
        logging.info(f"Training on {process.world_size} device(s) of type {process.device.type} with dtype {dtype}")
        if process.is_distributed:
            logging.info("The processes share each batch: `batch_size` and `max_atoms_per_batch` are of all together")
        model.to(device=process.device, dtype=dtype)
        is_new = self.epoch is None and hypers.get("finetune") is None
        if is_new:
            self.fit_size(model, train_datasets, val_datasets)
        process.share_state(model)
        fit_baselines(model, train_datasets, hypers, process, checkpoint_dir)
        new_targets = list(model.dataset_info.targets) if is_new else model.new_targets
        again = bool(model.other_valence) and self.epoch is None
        start_network(model, train_datasets, new_targets, with_descriptors=is_new, again=again)
        if is_new:
            self.start(model)
        self._choose_parameters(model)
        targets = model.dataset_info.targets
        loaders = make_loaders(model, targets, train_datasets, val_datasets, hypers, process)
        optimizer = make_optimizer(model, hypers)
        scheduler = make_schedule(optimizer, len(loaders.train), hypers)
        if model.new_targets:
            # The best model so far lacks the new heads, and its error does not count the new targets.
            self.best_epoch, self.best_metric, self.best_model_state_dict = None, float("inf"), None
        elif self.optimizer_state_dict and self.scheduler_state_dict:
            resume(optimizer, scheduler, self.optimizer_state_dict, self.scheduler_state_dict)
        self.optimizer_state_dict, self.scheduler_state_dict = optimizer.state_dict(), scheduler.state_dict()

        step = OptimizerStep(model, optimizer, scheduler, hypers["grad_clip_norm"], process)
        logging.info("Starting training")
        with noticing_signals(announced=process.rank == 0) as request:
            run = Run(model, self.wrap(model), loaders, Objective(self.losses(model)), dtype, step, process, request)
            try:
                with MatmulPrecision(hypers["matmul_precision"], model).in_use():
                    self._run_epochs(run, folder)
            except Exception as error:
                stopped = request.signal is not None or isinstance(error, StopTraining)
                self._save_last_epoch(run, folder, stopped, error)
                if stopped and not isinstance(error, StopTraining):
                    # such as loading processes that the same signal has killed
                    raise SystemExit(request.exit_code) from error
                raise

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
        continued = settings is not None or self.epoch is not None
        check_fixed_axes(model.fixed_axes, folder, of_checkpoint=continued)
        check_bands_of_data(model.dataset_info.targets, folder, of_checkpoint=continued)
        if model.axis is not None:
            check_axis(model.axis, model.density_of_states, folder, of_checkpoint=continued)

    def losses(self, model: Any) -> list[LossTerm]:
        """Return the terms of the loss, those of spectra first; default: those in the table of quantities."""
        targets = model.dataset_info.targets
        per_structure = intensive_targets(targets, self.hypers["per_structure_targets"])
        axes = {name: model.fixed_axes.get(name, model.axis) for name in targets}
        return default_losses(targets, self.hypers["loss"], axes, per_structure, model.scaler)

    def fit_size(self, model: Any, train_datasets: Datasets, val_datasets: Datasets) -> None:
        """Give a new model the size that its data needs, equally in all processes; by default, it keeps its own."""

    def start(self, model: Any) -> None:
        """Change a new model before its first step; by default, it begins as it was made."""

    def wrap(self, model: Any) -> torch.nn.Module:
        """Return the module called in training steps: the model, or a wrapper around it."""
        return model

    def _choose_parameters(self, model: Any) -> None:
        """Start fine-tuning if the options request it; after a restart, train the same parameters as before."""
        settings = self.hypers.get("finetune")
        if self.optimizer_state_dict is not None:
            if self.trainable_parameters is not None:
                continue_training(model, self.trainable_parameters)
        elif settings is not None:
            start_finetuning(model, self.strategy, settings.get("inherit_heads", {}))
        self.trainable_parameters = trained_parameters(model)

    def _run_epochs(self, run: Run, folder: Path) -> None:
        """Run the remaining epochs."""
        hypers = self.hypers
        log = EpochLog(run.model.dataset_info, hypers["num_epochs"], run.process.rank)
        for epoch in range(0 if self.epoch is None else self.epoch + 1, hypers["num_epochs"]):
            seed_epoch(self.seed, epoch)
            learning_rate = run.step.optimizer.param_groups[0]["lr"]
            for sampler in run.loaders.epoch_samplers:
                sampler.set_epoch(epoch)
            errors = self._run_both_sets(run)
            self._take_over(run, epoch, selected_error(errors[1], hypers["best_model_metric"]))
            log.count_epoch()
            if epoch % hypers["log_interval"] == 0:
                log.write(epoch, errors, learning_rate, self.best_epoch)
            if (epoch + 1) % hypers["checkpoint_interval"] == 0 and run.process.rank == 0:
                self.save_checkpoint(run.model, folder / f"model_{epoch}.ckpt")
        if any(run.process.gather(run.request.signal)):
            raise StopTraining(run.request.exit_code)  # after the last epoch

    def _run_both_sets(self, run: Run) -> list[dict[str, float]]:
        """Return the errors of a training epoch, then of the validation set."""
        results = []
        for batches, update in ((run.loaders.train, run.step), (run.loaders.validation, None)):
            # No dropout in validation. The model itself stays in training mode: targets lack baselines and scales.
            run.model.network.train(update is not None)
            errors = EpochErrors(run.objective.terms, run.process)
            targets = run.model.dataset_info.targets
            results.append(
                run_epoch(run.called, batches, targets, run.objective, errors, run.dtype, update, run.request)
            )
        return results

    def _take_over(self, run: Run, epoch: int, metric: float) -> None:
        """Copy everything that a restart after this epoch needs, because the next one may be stopped halfway."""
        self.epoch = epoch
        self.model_state_dict = copy.deepcopy(run.model.state_dict())
        self.optimizer_state_dict = copy.deepcopy(run.step.optimizer.state_dict())
        self.scheduler_state_dict = run.step.scheduler.state_dict()
        if metric < self.best_metric:
            self.best_metric, self.best_epoch = metric, epoch
            self.best_model_state_dict = self.model_state_dict

    def _save_last_epoch(self, run: Run, folder: Path, stopped: bool, reason: Exception) -> None:
        """Save the state after the last epoch that ended in this run, when a later one has failed or was stopped."""
        if run.process.rank > 0:
            return
        start = f"Stopped by {run.request.name}" if stopped else "Training has failed"
        if stopped and not isinstance(reason, StopTraining):
            start += f" ({reason})"
        if self.model_state_dict is None or self.epoch is None:
            logging.info(f"{start} before the end of the first epoch of this run; there is nothing to save")
            return
        path = folder / (f"model_{self.epoch}.ckpt" if stopped else "model_before_failure.ckpt")
        run.model.load_state_dict(self.model_state_dict)
        self.save_checkpoint(run.model, path)
        logging.info(
            f"{start}; saved {path} after {self.epoch + 1} of {self.hypers['num_epochs']} epochs. To go on from there: "
            f"mtt train options.yaml --restart {path}"
        )

    def save_checkpoint(self, model: ModelInterface, path: str | Path) -> None:
        """Write the state of model and trainer; the file appears only once it is complete."""
        checkpoint = model.get_checkpoint()
        checkpoint.update(
            {
                "trainer_ckpt_version": self.__checkpoint_version__,
                "train_hypers": in_fixed_order(self.hypers),
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
        write_checkpoint(checkpoint, Path(check_file_extension(path, ".ckpt")))

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
