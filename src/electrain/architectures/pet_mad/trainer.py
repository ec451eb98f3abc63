"""The trainer of PET-MAD: that of all architectures, and CUDA graphs."""

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

    __checkpoint_version__ = 3

    def check(self, model: Any, process: Process) -> None:
        """Also: where CUDA graphs cannot be used."""
        super().check(model, process)
        if self.cuda_graphs:
            if process.is_distributed or process.device.type != "cuda":
                raise ValueError(
                    f"`cuda_graphs` is for training on one GPU, this is one on {process.world_size} device(s) of type "
                    f"{process.device.type}: switch it off"
                )
            check_recordable(model)

    def wrap(self, model: Any, process: Process) -> torch.nn.Module:
        """With ``cuda_graphs``, steps replay recordings."""
        return GraphedModel(model) if self.cuda_graphs else super().wrap(model, process)

    @property
    def cuda_graphs(self) -> bool:
        """Whether the options ask for CUDA graphs."""
        return bool(self.hypers["cuda_graphs"])  # type: ignore[typeddict-item]
