"""Input of the transformers in addition to the batch itself: edges laid out in padded blocks."""

from typing import NamedTuple

import torch

from electrain.nn.batch import Edges


class Buckets(NamedTuple):
    """Layout of the tokens for the transformers: atoms with similar numbers of neighbors share one padded block.

    Block ``b`` contains ``num_atoms[b]`` rows of ``lengths[b]`` slots, and the blocks follow one another. The tokens
    are the central tokens of all atoms, followed by all edges.
    """

    num_atoms: list[int]  # (num_buckets,)
    lengths: list[int]  # (num_buckets,) | tokens per row, including the central one
    slots: torch.Tensor  # (num_atoms + num_edges,) int64 | where each token goes among all slots
    num_slots: int


class LayerInputs(NamedTuple):
    """Input of every message-passing layer in addition to features."""

    vectors: torch.Tensor  # (num_edges, 3) | Angstrom
    distances: torch.Tensor  # (num_edges,) | Angstrom
    neighbor_elements: torch.Tensor  # (num_edges,) int64
    key_bias: torch.Tensor  # (num_slots,) | logarithm of the cutoff function, -inf in empty slots
    buckets: Buckets


class PreparedBatch(NamedTuple):
    """A batch after all steps that do not depend on parameters: edges found, tokens laid out."""

    elements: torch.Tensor  # (num_atoms,) int64
    system_of_atom: torch.Tensor  # (num_atoms,) int64
    states: torch.Tensor | None  # (num_systems, 2) int64
    graph: Edges
    layer_inputs: LayerInputs
