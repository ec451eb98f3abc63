"""Which structures come together in a batch, how they are rotated, and which process computes which of them.

Everything random is drawn for the whole batch, in the same way by all processes, so it depends neither on their number
nor on that of the workers that load data.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, Optional

import numpy as np
import torch
from metatomic.torch.o3 import random_transformations
from metatrain.utils.augmentation import O3Augmenter
from metatrain.utils.data import CollateFn, Dataset
from metatrain.utils.data.samplers import MaxAtomDistributedBatchSampler
from torch.utils.data import BatchSampler, RandomSampler, Sampler, SequentialSampler, Subset

from .hypers import TrainerHypers
from .processes import Process


class Drawn(NamedTuple):
    """A structure of a batch."""

    number: int  # in the data set
    matrix: Optional[np.ndarray]  # (3, 3), its rotation, or rotation and inversion


class Shares(Sampler[list[Drawn]]):
    """The share of this process in each batch of a data set; it may be empty.

    :param dataset: the data set.
    :param hypers: ``batch_size`` or ``max_atoms_per_batch`` and ``min_atoms_per_batch``, of all processes together.
    :param process: this process.
    :param shuffle: whether batches are drawn at random; if so, structures left over after the last full batch wait
        for the next epoch.
    :param rotate: whether structures are rotated and inverted at random.
    :raises ValueError: for fewer structures in a batch than processes.
    """

    def __init__(
        self, dataset: Dataset | Subset, hypers: TrainerHypers, process: Process, *, shuffle: bool, rotate: bool
    ) -> None:
        self.rotate, self.process = rotate, process
        self._generator = torch.Generator()
        self.by_atoms: Optional[MaxAtomDistributedBatchSampler] = None
        self._batches: Any
        if hypers["max_atoms_per_batch"] is not None:
            self.by_atoms = self._batches = MaxAtomDistributedBatchSampler(
                dataset,
                hypers["max_atoms_per_batch"],
                shuffle=shuffle,
                drop_last=shuffle,
                min_atoms=hypers["min_atoms_per_batch"] if shuffle else 0,
            )
            return
        size = hypers["batch_size"]
        if size < process.world_size:
            raise ValueError(
                f"{process.world_size} processes cannot share a batch of {size} structures; increase `batch_size`"
            )
        order = RandomSampler(dataset, generator=self._generator) if shuffle else SequentialSampler(dataset)
        self._batches = BatchSampler(order, size, drop_last=shuffle)

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[Drawn]]:
        # At once, and not with the first batch: workers ask for batches early.
        self._generator.manual_seed(int(torch.empty((), dtype=torch.int64).random_()))
        return map(self._share, self._batches)

    def _share(self, batch: list[int]) -> list[Drawn]:
        matrices: Sequence[Optional[np.ndarray]] = [None] * len(batch)
        if self.rotate:
            cpu = torch.device("cpu")
            matrices = random_transformations(
                len(batch), device=cpu, dtype=torch.float64, add_inversions=True, generator=self._generator
            ).matrices.numpy()
        return list(map(Drawn, batch, matrices))[self.process.rank :: self.process.world_size]


class DrawnStructures(torch.utils.data.Dataset):
    """A data set of structures together with the rotations drawn for them."""

    def __init__(self, dataset: torch.utils.data.Dataset) -> None:
        self.dataset = dataset

    def __getitem__(self, drawn: Drawn) -> tuple[Any, Optional[np.ndarray]]:
        return self.dataset[drawn.number], drawn.matrix


class Collate:
    """Make a batch of drawn structures, rotated and transformed; ``None`` if there are none.

    :param target_keys: names of the targets.
    :param transforms: applied after the rotations.
    :param augmenter: rotates structures, targets and further inputs.
    """

    def __init__(self, target_keys: list[str], transforms: list[Callable[..., Any]], augmenter: O3Augmenter) -> None:
        self._target_keys, self._transforms, self._augmenter = target_keys, transforms, augmenter

    def __call__(self, samples: list[tuple[Any, Optional[np.ndarray]]]) -> Any:
        """Return what metatrain's ``unpack_batch`` reads."""
        if not samples:
            return None
        structures, matrices = zip(*samples, strict=True)
        rotations = [partial(self._rotate, matrices)] if matrices[0] is not None else []
        return CollateFn(self._target_keys, [*rotations, *self._transforms])(list(structures))

    def _rotate(self, matrices: Sequence[np.ndarray], systems: Any, targets: Any, extra: Any) -> Any:
        dtype = systems[0].positions.dtype
        rotations = [torch.from_numpy(matrix).to(dtype) for matrix in matrices]
        return self._augmenter.apply_augmentations(systems, targets, rotations, extra_data=extra)
