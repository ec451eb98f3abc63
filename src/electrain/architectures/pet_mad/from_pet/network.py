"""Mapping options and weights of metatrain's ``pet`` to our network."""

import re
from collections.abc import Mapping
from typing import Any

import torch

# Their options -> ours; options about targets, baselines and other physics do not concern the network.
_OPTIONS = {
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
    "system_conditioning": "system_conditioning",
    "max_charge": "max_charge",
    "max_spin_multiplicity": "max_spin_multiplicity",
}
# Parts of their parameter names -> ours, applied in this order.
_RENAMED = [
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
    (r"^system_conditioning\.(charge|spin_multiplicity)_embedding", r"state_embedding.\1"),
    (r"^system_conditioning\.project\.0", "state_embedding.hidden"),
    (r"^system_conditioning\.project\.2", "state_embedding.output"),
    (r"combination_norms\.(\d+)\.", r"combinations.\1.0."),
    (r"combination_mlps\.(\d+)\.0\.", r"combinations.\1.1."),
    (r"combination_mlps\.(\d+)\.2\.", r"combinations.\1.3."),
    (r"^(node|edge)_heads\.([^.]+)\.", r"heads.\2.\1_trunks."),
]
_NOT_IN_NETWORK = re.compile(r"^(node|edge)_last_layers\.|^species_to_species_index$")


# What metatrain's `pet` does not have
_WITHOUT_EQUIVALENT = {
    "element_properties": False,
    "radial_descriptors": None,
    "spectrum_head": "linear",
    "dropout": 0.0,
}


def network_options(hypers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyperparameters with which our network equals that of a ``pet`` with the given hyperparameters."""
    options = {ours: hypers[theirs] for theirs, ours in _OPTIONS.items()}
    for name in ("cutoff_function", "adaptive_cutoff_method"):  # theirs may start with a capital
        options[name] = options[name].lower()
    return {**options, **_WITHOUT_EQUIVALENT}


def network_state(backend: Any) -> dict[str, torch.Tensor]:
    """Return our network's state dictionary, converted from theirs.

    :param backend: the ``backend`` of a ``metatrain.pet.PET``, without low-rank updates.
    """
    state = {}
    for name, value in backend.state_dict().items():
        if _NOT_IN_NETWORK.search(name):
            continue
        for pattern, replacement in _RENAMED:
            name = re.sub(pattern, replacement, name)
        state[name] = value
    for target in backend.node_last_layers:
        state.update({f"heads.{target}.{name}": value for name, value in _last_map(backend, target).items()})
    return state


def _last_map(backend: Any, target: str) -> dict[str, torch.Tensor]:
    """Join their last linear layers, which are separate for each readout, for nodes and edges, and for each block."""
    weights = []
    biases = {}
    for kind, by_readout in (("node", backend.node_last_layers), ("edge", backend.edge_last_layers)):
        readouts = [list(blocks.values()) for blocks in by_readout[target]]
        weights.append([torch.cat([block.weight.detach() for block in blocks]) for blocks in readouts])
        biases[kind] = torch.stack([torch.cat([block.bias.detach() for block in blocks]) for blocks in readouts]).sum(0)
    # order of the features in ours: node, edge, for each readout
    in_order = [weight for pair in zip(*weights, strict=True) for weight in pair]
    return {"last.weight": torch.cat(in_order, dim=1), "last.bias": biases["node"], "last_edge_bias": biases["edge"]}


def merge_peer_low_rank(backend: Any) -> None:
    """Add low-rank updates (LoRA) to the weights of the layers that they wrap, ``W + s B A``, summed in float64."""
    for module in list(backend.modules()):
        for name, layer in list(module.named_children()):
            if hasattr(layer, "lora_A") and hasattr(layer, "lora_B"):
                update = layer.scaling * (layer.lora_B.weight.detach().double() @ layer.lora_A.weight.detach().double())
                weight = layer.linear.weight
                weight.data = (weight.detach().double() + update).to(weight.dtype)
                setattr(module, name, layer.linear)
