"""The trainer of PET-MAD: the shared trainer with CUDA graphs."""

from typing import Any

import torch

from electrain.training.processes import Process
from electrain.training.trainer import SpectralTrainer

from .cuda_graphs import GraphedModel, check_recordable
from .model import PETMAD
from .upgrades import TRAINER_UPGRADES


class Trainer(SpectralTrainer):
    """Trains a PET-MAD.

    :param hypers: see :class:`~electrain.architectures.pet_mad.documentation.TrainerHypers`.
    """

    model_class = PETMAD
    upgrades = TRAINER_UPGRADES

    __checkpoint_version__ = 4

    def check(self, model: Any, process: Process) -> None:
        """Also refuse ``cuda_graphs`` where they cannot be used."""
        super().check(model, process)
        if self.cuda_graphs:
            if process.is_distributed or process.device.type != "cuda":
                raise ValueError(
                    f"`cuda_graphs` is for training on one GPU, but this training uses {process.world_size} device(s) "
                    f"of type {process.device.type}; switch it off"
                )
            check_recordable(model)

    def wrap(self, model: Any) -> torch.nn.Module:
        """Wrap the model so that steps replay recordings, with ``cuda_graphs``."""
        return GraphedModel(model) if self.cuda_graphs else super().wrap(model)

    @property
    def cuda_graphs(self) -> bool:
        """Whether CUDA graphs are switched on in the options."""
        return bool(self.hypers["cuda_graphs"])  # type: ignore[typeddict-item]
