"""Attention, feed-forward and transformer blocks on tokens in buckets of nearly full rows."""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from electrain.nn.attention import attend
from electrain.nn.element_embedding import ElementEmbedding
from electrain.nn.layers import LayerNorm, Linear, OverwritingSiLU, RMSNorm

from .batch import Buckets, LayerInputs

# Attention weights are multiplied by the cutoff function, by adding its logarithm, clamped to this, to the logits.
# TorchScript: functions cannot read module-level numbers, so it is a default argument below.
_MIN_WEIGHT = 1e-15


class TransformerShape(NamedTuple):
    """Shape shared by all transformers of a network."""

    num_attention_layers: int
    edge_width: int  # features of an edge (token), divisible by the number of heads
    node_width: int  # features of an atom
    feedforward_width: int  # hidden features of the feed-forward networks
    num_heads: int
    attention_temperature: float  # divides the attention logits
    normalization: str  # "LayerNorm" or "RMSNorm"
    activation: str  # "SiLU" or "SwiGLU"
    transformer_type: str  # normalises after ("PostLN") or before ("PreLN") attention and feed-forward network


class FeedForward(nn.Module):
    """Two linear layers around SiLU, or around the gate ``value * sigmoid(gate)``.

    :param width: number of input and output features.
    :param hidden_width: number of hidden features.
    :param activation: ``"SiLU"`` or ``"SwiGLU"`` (gated).
    """

    def __init__(self, width: int, hidden_width: int, activation: str) -> None:
        super().__init__()
        self.gated = activation == "SwiGLU"
        self.expand = Linear(width, 2 * hidden_width if self.gated else hidden_width)
        self.activation = OverwritingSiLU()
        self.contract = Linear(hidden_width, width)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(..., width) -> (..., width)."""
        hidden = self.expand(features)
        if self.gated:
            value, gate = hidden.chunk(2, dim=-1)
            hidden = value * torch.sigmoid(gate)
        else:
            hidden = self.activation(hidden)
        return self.contract(hidden)


class Attention(nn.Module):
    """Multi-head self-attention among the tokens of each atom, weighted by the cutoff function of the keys.

    :param width: number of features of a token, divisible by ``num_heads``.
    :param num_heads: number of attention heads.
    :param temperature: divisor of the logits, in addition to the square root of the head's width.
    """

    LOW_RANK_LAYERS = ("input_linear", "output_linear")

    def __init__(self, width: int, num_heads: int, temperature: float) -> None:
        super().__init__()
        if width % num_heads != 0:
            raise ValueError(f"the token width must be divisible by the number of heads, got {width} and {num_heads}")
        self.num_heads = num_heads
        self.head_width = width // num_heads
        self.scale = 1.0 / (self.head_width**0.5 * temperature)
        self.input_linear = Linear(width, 3 * width)
        self.output_linear = Linear(width, width)

    def forward(self, tokens: torch.Tensor, key_bias: torch.Tensor, buckets: Buckets) -> torch.Tensor:
        """Apply attention once.

        :param tokens: (num_slots, width).
        :param key_bias: (num_slots,) added to the logits of each key; ``-inf`` in empty slots.
        :param buckets: layout of the slots.
        :return: (num_slots, width).
        """
        sizes: list[int] = []
        for rows, length in zip(buckets.num_atoms, buckets.lengths):  # noqa: B905 (TorchScript: no strict=)
            sizes.append(rows * length)
        # `split` keeps the memory of the backward pass linear; each slice would allocate a gradient of full size.
        blocks = self.input_linear(tokens).split(sizes)
        biases = key_bias.split(sizes)
        outputs: list[torch.Tensor] = []
        for bucket in range(len(sizes)):
            rows, length = buckets.num_atoms[bucket], buckets.lengths[bucket]
            block = blocks[bucket].reshape(rows, length, 3, self.num_heads, self.head_width).permute(2, 0, 3, 1, 4)
            queries, keys, values = block.unbind(0)
            mixed = attend(queries, keys, values, biases[bucket].reshape(rows, 1, 1, length), self.scale)
            outputs.append(mixed.reshape(-1, self.num_heads * self.head_width))
        return self.output_linear(torch.cat(outputs))


def attention_bias(
    weights: torch.Tensor, num_atoms: int, buckets: Buckets, min_weight: float = _MIN_WEIGHT
) -> torch.Tensor:
    """Logarithm of the cutoff function for every slot: 0 for central tokens, ``-inf`` for empty slots.

    :param weights: (num_edges,) cutoff function of the edges.
    """
    central = torch.zeros(num_atoms, dtype=weights.dtype, device=weights.device)
    bias = torch.cat([central, torch.log(weights.clamp_min(min_weight))])
    empty = torch.full((buckets.num_slots,), float("-inf"), dtype=weights.dtype, device=weights.device)
    return empty.index_copy(0, buckets.slots, bias)


def _norm(normalization: str, width: int) -> nn.Module:
    if normalization == "LayerNorm":
        return LayerNorm(width)
    if normalization == "RMSNorm":
        return RMSNorm(width)
    raise ValueError(f"normalization must be 'LayerNorm' or 'RMSNorm', got {normalization!r}")


class TransformerLayer(nn.Module):
    """Attention and feed-forward with residual connections, normalised after (PostLN) or before (PreLN).

    Nodes wider than edges take part in attention through a contraction to the edges' width, and have their own
    feed-forward block.
    """

    def __init__(self, shape: TransformerShape) -> None:
        super().__init__()
        if shape.transformer_type not in ("PreLN", "PostLN"):
            raise ValueError(f"transformer_type must be 'PreLN' or 'PostLN', got {shape.transformer_type!r}")
        if shape.activation not in ("SiLU", "SwiGLU"):
            raise ValueError(f"activation must be 'SiLU' or 'SwiGLU', got {shape.activation!r}")
        edge_width, node_width = shape.edge_width, shape.node_width
        self.normalize_first = shape.transformer_type == "PreLN"
        self.wide_nodes = node_width != edge_width
        self.attention = Attention(edge_width, shape.num_heads, shape.attention_temperature)
        self.attention_norm = _norm(shape.normalization, edge_width)
        self.feedforward = FeedForward(edge_width, shape.feedforward_width, shape.activation)
        self.feedforward_norm = _norm(shape.normalization, edge_width)
        # TorchScript: modules must exist in both cases; identities stand for "nodes are as wide as edges"
        self.node_contraction: nn.Module = nn.Identity()
        self.node_expansion: nn.Module = nn.Identity()
        self.node_norm: nn.Module = nn.Identity()
        self.node_feedforward: nn.Module = nn.Identity()
        if self.wide_nodes:
            self.node_contraction = Linear(node_width, edge_width)
            self.node_expansion = Linear(edge_width, node_width)
            self.node_norm = _norm(shape.normalization, node_width)
            self.node_feedforward = FeedForward(node_width, 2 * node_width, shape.activation)

    def forward(
        self, nodes: torch.Tensor, tokens: torch.Tensor, key_bias: torch.Tensor, buckets: Buckets
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(num_atoms, node_width), (num_slots, edge_width) -> the same shapes.

        Nodes as wide as edges are read from their central tokens; the nodes are then returned unchanged.
        """
        central = buckets.slots[: len(nodes)]
        if self.wide_nodes:
            tokens = tokens.index_copy(0, central, self.node_contraction(nodes))
        attended = self.attention(self.attention_norm(tokens) if self.normalize_first else tokens, key_bias, buckets)
        if self.normalize_first:
            # Central tokens are the output of attention, without residual connection or feed-forward network.
            new_centers = attended.index_select(0, central)
            tokens = attended.add_(tokens)
            tokens = self.feedforward(self.feedforward_norm(tokens)).add_(tokens)
            if not self.wide_nodes:
                tokens = tokens.index_copy(0, central, new_centers)
        else:
            tokens = self.attention_norm(attended.add_(tokens))
            tokens = self.feedforward_norm(self.feedforward(tokens).add_(tokens))
            new_centers = tokens.index_select(0, central) if self.wide_nodes else nodes
        if self.wide_nodes:
            nodes = nodes + self.node_expansion(new_centers)
            nodes = nodes + self.node_feedforward(self.node_norm(nodes))
        return nodes, tokens


class EdgeTokens(nn.Module):
    """Geometry, species and incoming message of each edge, compressed into one token.

    The compression's first linear map acts on ``[geometry, species, message]``. It is applied block by block, so that
    the geometry's own embedding is merged into a 4 -> width map and the species' embedding into a table. This is exact,
    and avoids a concatenated tensor of two or three times the width.

    :param width: number of features of a token.
    :param num_elements: number of chemical elements.
    :param with_messages: whether there are incoming messages (all layers but the first).
    :param properties: of the elements, for their embeddings, or ``None``.
    """

    def __init__(
        self, width: int, num_elements: int, with_messages: bool, properties: torch.Tensor | None = None
    ) -> None:
        super().__init__()
        self.with_messages = with_messages
        self.width = width
        self.geometry = nn.Linear(4, width)
        self.species = ElementEmbedding(num_elements, width, properties)
        self.compress = nn.Linear((3 if with_messages else 2) * width, width)
        self.activation = OverwritingSiLU()
        self.output = Linear(width, width)

    def forward(
        self,
        vectors: torch.Tensor,
        distances: torch.Tensor,
        neighbor_elements: torch.Tensor,
        messages: torch.Tensor,
    ) -> torch.Tensor:
        """(num_edges, 3) and (num_edges,) in Angstrom, (num_edges,), (num_edges, width) -> (num_edges, width).

        Tokens have the dtype of the messages; the geometry keeps its own.
        """
        by_geometry = self.compress.weight[:, : self.width]
        by_species = self.compress.weight[:, self.width : 2 * self.width]
        bias = self.compress.bias + by_geometry @ self.geometry.bias
        features = functional.linear(
            torch.cat([vectors, distances.unsqueeze(1)], dim=1), by_geometry @ self.geometry.weight, bias
        )
        features += functional.linear(self.species.table(), by_species).index_select(0, neighbor_elements)
        if self.with_messages:
            by_message = self.compress.weight[:, 2 * self.width :].to(messages.dtype)
            features += functional.linear(messages, by_message).to(features.dtype)
        return self.output(self.activation(features.to(messages.dtype)))


class MessagePassingLayer(nn.Module):
    """One transformer over each atom's neighborhood: central token and edge tokens in, the same out."""

    def __init__(
        self,
        num_elements: int,
        shape: TransformerShape,
        *,
        with_messages: bool,
        properties: torch.Tensor | None = None,
    ) -> None:
        super().__init__()
        self.edge_tokens = EdgeTokens(shape.edge_width, num_elements, with_messages, properties)
        self.layers = nn.ModuleList(TransformerLayer(shape) for _ in range(shape.num_attention_layers))

    def forward(
        self, nodes: torch.Tensor, messages: torch.Tensor, inputs: LayerInputs
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(num_atoms, node_width) and messages (num_edges, edge_width) -> nodes and edges of the same shapes."""
        edges = self.edge_tokens(inputs.vectors, inputs.distances, inputs.neighbor_elements, messages)
        nodes = nodes.to(edges.dtype)
        central, others = inputs.buckets.slots.split([len(nodes), len(edges)])
        tokens = torch.zeros(inputs.buckets.num_slots, edges.shape[1], dtype=edges.dtype, device=edges.device)
        # in place, because `index_copy` would first copy the whole target
        tokens.index_copy_(0, others, edges)
        if nodes.shape[1] == edges.shape[1]:
            tokens.index_copy_(0, central, nodes)
        for layer in self.layers:
            nodes, tokens = layer(nodes, tokens, inputs.key_bias, inputs.buckets)
        if nodes.shape[1] == edges.shape[1]:
            nodes = tokens.index_select(0, central)
        return nodes, tokens.index_select(0, others)
