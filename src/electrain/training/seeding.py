"""Random numbers that depend on the epoch only, so that a restarted training continues bit for bit."""

import random

import numpy as np
import torch


def seed_epoch(seed: int, epoch: int, rank: int) -> None:
    """Seed every generator that shuffling and augmentation draw from.

    :param seed: seed of the whole training, the same before and after a restart.
    :param epoch: epoch about to begin.
    :param rank: number of the process in a distributed training.
    """
    # A generator's own mixing turns neighboring triples into independent seeds.
    value = int(np.random.SeedSequence([seed, epoch, rank]).generate_state(1)[0])
    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)
