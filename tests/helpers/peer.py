"""The peer network `metatrain.pet`, and our network with its weights, for parity tests."""

import torch
from metatrain.pet.model import PET
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import DatasetInfo
from metatrain.utils.data.target_info import get_generic_target_info

from electrain.architectures.pet_mad.from_pet.network import network_options, network_state
from electrain.architectures.pet_mad.model import PETMAD
from electrain.nn.point_edge_transformer import PointEdgeTransformer

ELEMENTS = [1, 6, 8, 14, 79]


def make_peer(targets: dict[str, int], **options) -> PET:
    """A randomly initialised `metatrain.pet` in float64 with scalar targets of the given sizes."""
    hypers = get_default_hypers("pet", base_precision=64)["model"]
    hypers.update({"d_pet": 16, "d_node": 16, "d_head": 12, "d_feedforward": 20, "num_heads": 4, "cutoff": 3.0})
    hypers.update(options)
    layout = {"quantity": "", "unit": "", "type": "scalar", "sample_kind": "system"}
    infos = {name: get_generic_target_info(name, {**layout, "num_subtargets": size}) for name, size in targets.items()}
    peer = PET(hypers, DatasetInfo("angstrom", ELEMENTS, infos)).to(torch.float64)
    spread_weights(peer)
    return peer.eval()


def spread_weights(peer: PET) -> None:
    """Random weights leave the tokens' dependence on geometry tiny; larger ones make a sharper comparison.

    Not too large: the peer lets padding take part in attention with weight 1e-15 * exp(difference of logits).
    """
    with torch.no_grad():
        for parameter in peer.backend.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))


def our_network(peer: PET, targets: dict[str, int]) -> PointEdgeTransformer:
    """Our network with the peer's options and weights."""
    network = PETMAD.make_network(network_options(peer.hypers), ELEMENTS, None)
    for name, size in targets.items():
        network.add_output(name, size, "sum")
    network.to(torch.float64).load_state_dict(network_state(peer.backend))
    return network.eval()
