"""Random numbers that depend only on the epoch, so that a restarted training continues bit for bit."""

import random

import numpy as np
import torch


def seed_epoch(seed: int, epoch: int, rank: int) -> None:
    """Seed every generator that is used in shuffling and augmentation.

    :param seed: seed of the whole training, the same before and after a restart.
    :param epoch: epoch that is about to start.
    :param rank: rank of the process in distributed training.
    """
    # The generator mixes its input, so that neighboring triples give independent seeds.
    value = int(np.random.SeedSequence([seed, epoch, rank]).generate_state(1)[0])
    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)
