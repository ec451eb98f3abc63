"""Short trainings of tiny models."""

import copy

import torch
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.io import model_from_checkpoint, trainer_from_checkpoint
from tiny_models import training_structures

from electrain.architectures.pet_mad.trainer import Trainer

CPU = torch.device("cpu")
FRAMES = training_structures()


def training_hypers(**options):
    hypers = copy.deepcopy(get_default_hypers("pet_mad")["training"])
    hypers.update({"batch_size": 2, "num_workers": 0, "warmup_epochs": 0.0, "learning_rate": 1e-2})
    return {**hypers, **options}


def train(trainer, model, dataset, folder, dtype=torch.float32):
    """As `mtt train` does it."""
    datasets = dataset if isinstance(dataset, list) else [dataset]
    trainer.train(model, dtype, [CPU], datasets, datasets, str(folder))


def new_trainer(**options):
    torch.manual_seed(11)
    return Trainer(training_hypers(**options))


def load(path, context="restart", **options):
    """Model and trainer of a checkpoint file, as `mtt train --restart` gets them."""
    checkpoint = torch.load(path, weights_only=False, map_location="cpu")
    model = model_from_checkpoint(checkpoint, context)
    return model, trainer_from_checkpoint(checkpoint, context, training_hypers(**options))


def equal_states(first, second):
    """Whether two nested states are the same to the last bit."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(equal_states(first[k], second[k]) for k in first)
    if isinstance(first, (list, tuple)):
        return len(first) == len(second) and all(map(equal_states, first, second))
    return first == second
