"""Beginning with the encoder of a trained ``pet_mad``."""

import logging
from typing import Any

import torch
import yaml
from ase.data import chemical_symbols
from metatrain.utils.architectures import import_architecture
from metatrain.utils.io import model_from_checkpoint
from typing_extensions import get_type_hints

from electrain.architectures.base.point_edge_transformer import PointEdgeTransformerHypers
from electrain.files.checkpoints import read_checkpoint
from electrain.nn.element_embedding import ElementEmbedding
from electrain.pretrained import checkpoint_in_place_of


def check_encoder(model: Any, read_from: str) -> None:
    """Check that a model has the encoder of a trained one.

    :param model: a :class:`~electrain.architectures.bandformer.model.Bandformer`.
    :param read_from: checkpoint of ``pet_mad``, or name of a model.
    :raises FileNotFoundError: if there is no such file.
    :raises ValueError: for another encoder, with the options that the model needs, and for one that reads charges
        or has long-range features.
    """
    if model.hypers["encoder"] != "point_edge_transformer":
        raise ValueError("`encoder_from` needs `encoder: point_edge_transformer` in `architecture.model`")
    checkpoint = read_checkpoint(checkpoint_in_place_of(read_from))
    checkpoint = import_architecture("pet_mad").__model__.upgrade_checkpoint(checkpoint)
    known = checkpoint["model_data"]["model_hypers"]
    if known["system_conditioning"]:
        raise ValueError(f"{read_from} reads charges and spin multiplicities, which `bandformer` does not")
    if known["long_range"]["enable"]:
        raise ValueError(f"{read_from} has long-range features, which `bandformer` does not")
    names = list(get_type_hints(PointEdgeTransformerHypers))
    own = model.hypers["point_edge_transformer"]
    if any(own[name] != known[name] for name in names):
        lines = yaml.safe_dump({"point_edge_transformer": {name: known[name] for name in names}}, sort_keys=False)
        raise ValueError(
            f"the encoder differs from that of {read_from}; write in `architecture.model`\n\n{lines.rstrip()}"
        )


@torch.no_grad()
def start_encoder(model: Any, read_from: str) -> None:
    """Give the encoder of a model the weights of a trained one.

    Elements that the trained model does not know keep what they have.

    :param model: a :class:`~electrain.architectures.bandformer.model.Bandformer`, changed in place.
    :param read_from: checkpoint of ``pet_mad``, or name of a model.
    """
    trained: Any = model_from_checkpoint(read_checkpoint(checkpoint_in_place_of(read_from)), context="finetune")
    own, known = model.network.encoder.transformer, trained.network
    ours = [index for index, number in enumerate(model.atomic_types) if number in trained.atomic_types]
    theirs = [trained.atomic_types.index(model.atomic_types[index]) for index in ours]
    modules = dict(known.named_modules())
    for name, module in own.named_modules():
        if isinstance(module, ElementEmbedding):
            _start_elements(module, modules[name], ours, theirs)
            continue
        values = dict(modules[name].named_parameters(recurse=False))
        for key, parameter in module.named_parameters(recurse=False):
            parameter.copy_(values[key])
    logging.info(f"Starting with the encoder of {read_from}")
    new = [chemical_symbols[number] for number in model.atomic_types if number not in trained.atomic_types]
    if new:
        logging.info(f"It does not know {', '.join(new)}, which begin with random features")


def _start_elements(own: Any, known: Any, ours: list[int], theirs: list[int]) -> None:
    own.weight[ours] = known.weight[theirs].to(own.weight)
    if own.properties is not None and ours:
        own.map.copy_(known.map)
        # both are without their means over the elements of their model
        own.properties += known.properties[theirs[0]].to(own.properties) - own.properties[ours[0]]
