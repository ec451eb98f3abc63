"""Random numbers that depend only on the epoch, so that a restarted training continues bit for bit."""

import random

import numpy as np
import torch
from metatrain.utils.data import Dataset
from torch.utils.data import Subset

from .processes import Process


def seed_epoch(seed: int, epoch: int) -> None:
    """Seed every generator that is used in shuffling and augmentation, equally in all processes of a training.

    :param seed: seed of the whole training, the same before and after a restart.
    :param epoch: epoch that is about to start.
    """
    # The generator mixes its input, so that neighboring pairs give independent seeds.
    value = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)


def agree_on_seed(seed: int, datasets: list[Dataset | Subset], process: Process) -> int:
    """Return the seed of the first process, for all of them.

    Without ``seed`` in the options, metatrain chooses another one in each process.

    :param datasets: training and validation sets, which must be the same for all.
    :raises ValueError: for different data sets.
    """
    contents = [list(data.indices) if isinstance(data, Subset) else len(data) for data in datasets]
    seeds, found = zip(*process.gather((seed, contents)), strict=True)
    if any(other != found[0] for other in found):
        raise ValueError(
            "the processes have different training or validation sets, probably because each has drawn them at random; "
            "set `seed: 1` or any other number at the top of the options, for all to draw the same"
        )
    return int(seeds[0])
