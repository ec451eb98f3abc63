"""The peer network `metatrain.pet` and the map of its weights onto ours, for parity tests."""

import re

import torch
from metatrain.pet.model import PET
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import DatasetInfo
from metatrain.utils.data.target_info import get_generic_target_info

from electrain.pet import PointEdgeTransformer

ELEMENTS = [1, 6, 8, 14, 79]
NAMES = {
    "cutoff": "cutoff",
    "cutoff_width": "cutoff_width",
    "cutoff_function": "cutoff_function",
    "num_neighbors_adaptive": "num_neighbors_adaptive",
    "cutoff_width_adaptive": "cutoff_width_adaptive",
    "adaptive_cutoff_method": "adaptive_cutoff_method",
    "featurizer_type": "featurizer",
    "num_gnn_layers": "num_message_passing_layers",
    "num_attention_layers": "num_attention_layers",
    "d_pet": "edge_width",
    "d_node": "node_width",
    "d_feedforward": "feedforward_width",
    "d_head": "head_width",
    "num_heads": "num_heads",
    "attention_temperature": "attention_temperature",
    "normalization": "normalization",
    "activation": "activation",
    "transformer_type": "transformer_type",
}
RENAMED = [
    (r"gnn_layers\.(\d+)\.trans\.layers\.(\d+)\.", r"layers.\1.layers.\2."),
    (r"norm_attention\.", "attention_norm."),
    (r"norm_mlp\.", "feedforward_norm."),
    (r"norm_center_features\.", "node_norm."),
    (r"center_mlp\.", "node_feedforward."),
    (r"center_(contraction|expansion)\.", r"node_\1."),
    (r"\.mlp\.", ".feedforward."),
    (r"\.w_in\.", ".expand."),
    (r"\.w_out\.", ".contract."),
    (r"gnn_layers\.(\d+)\.edge_embedder", r"layers.\1.edge_tokens.geometry"),
    (r"gnn_layers\.(\d+)\.compress\.0", r"layers.\1.edge_tokens.compress"),
    (r"gnn_layers\.(\d+)\.compress\.2", r"layers.\1.edge_tokens.output"),
    (r"gnn_layers\.(\d+)\.neighbor_embedder", r"layers.\1.edge_tokens.species"),
    (r"^edge_embedder", "layers.0.edge_tokens.species"),
    (r"^node_embedders", "node_embeddings"),
    (r"combination_norms\.(\d+)\.", r"combinations.\1.0."),
    (r"combination_mlps\.(\d+)\.0\.", r"combinations.\1.1."),
    (r"combination_mlps\.(\d+)\.2\.", r"combinations.\1.3."),
    (r"^(node|edge)_heads\.([^.]+)\.", r"heads.\2.\1_trunks."),
]


def make_peer(targets: dict[str, int], **options) -> PET:
    """A randomly initialised `metatrain.pet` in float64 with scalar targets of the given sizes."""
    hypers = get_default_hypers("pet", base_precision=64)["model"]
    hypers.update({"d_pet": 16, "d_node": 16, "d_head": 12, "d_feedforward": 20, "num_heads": 4, "cutoff": 3.0})
    hypers.update(options)
    layout = {"quantity": "", "unit": "", "type": "scalar", "sample_kind": "system"}
    infos = {name: get_generic_target_info(name, {**layout, "num_subtargets": size}) for name, size in targets.items()}
    peer = PET(hypers, DatasetInfo("angstrom", ELEMENTS, infos)).to(torch.float64)
    # Random weights leave the tokens' dependence on geometry tiny; larger ones make a sharper comparison. Not too
    # large: the peer lets padding take part in attention with weight 1e-15 * exp(difference of logits), we do not.
    with torch.no_grad():
        for parameter in peer.backend.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return peer.eval()


def our_network(peer: PET, targets: dict[str, int]) -> PointEdgeTransformer:
    """Our network with the peer's options and weights."""
    options = {ours: peer.hypers[theirs] for theirs, ours in NAMES.items()}
    network = PointEdgeTransformer(num_elements=len(ELEMENTS), **options)
    for name, size in targets.items():
        network.add_head(name, size)
    network.to(torch.float64).load_state_dict(_our_state(peer.backend.state_dict(), targets))
    return network.eval()


def _our_state(peer_state: dict[str, torch.Tensor], targets: dict[str, int]) -> dict[str, torch.Tensor]:
    state = {}
    for name, value in peer_state.items():
        if "last_layers" in name or name == "species_to_species_index":
            continue
        for pattern, replacement in RENAMED:
            name = re.sub(pattern, replacement, name)
        state[name] = value
    for target in targets:
        weights, biases = [], {"node": 0.0, "edge": 0.0}
        for readout in range(8):
            for kind in ("node", "edge"):
                prefix = f"{kind}_last_layers.{target}.{readout}."
                for name, value in peer_state.items():
                    if name.startswith(prefix) and name.endswith("weight"):
                        weights.append(value)
                    if name.startswith(prefix) and name.endswith("bias"):
                        biases[kind] = biases[kind] + value
        state[f"heads.{target}.last.weight"] = torch.cat(weights, dim=1)
        state[f"heads.{target}.last.bias"] = biases["node"]
        state[f"heads.{target}.last_edge_bias"] = biases["edge"]
    return state
