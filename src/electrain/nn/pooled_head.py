"""A head whose last map is linear, so that features are summed over atoms before it."""

import torch
from torch import nn
from torch.nn import functional

from .layers import Linear
from .pooling import PooledFeatures, of_nodes
from .selection import Selection, of_samples


class PooledHead(nn.Module):
    r"""A network of two layers for each atom, :math:`y_i = W \sigma(V h_i + c) + b`, and its sums or means.

    The last map is linear: :math:`\sum_i y_i = W \sum_i \sigma(V h_i + c) + n b` runs once for each structure.

    :param width: number of features of an atom, and of the hidden layer.
    :param size: number of predicted values.
    :param dropout: share of the hidden features that is left out in training.
    """

    LOW_RANK_LAYERS = ("hidden",)

    def __init__(self, width: int, size: int, dropout: float) -> None:
        super().__init__()
        self.hidden = Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Linear(width, size)

    @torch.jit.export
    def last_features(self, nodes: torch.Tensor) -> torch.Tensor:
        """Features (num_samples, width) -> what enters the last map, (num_samples, width)."""
        return self.dropout(functional.silu(self.hidden(nodes)))  # type: ignore[no-any-return]

    def forward(self, samples: PooledFeatures) -> torch.Tensor:
        """Sums or means of what enters the last map -> predictions, (num_samples, size)."""
        linear = functional.linear(samples.values, self.last.weight)
        return linear + samples.num_nodes.unsqueeze(1) * self.last.bias

    @torch.jit.export
    def of_selection(self, nodes: torch.Tensor, kind: str, averaged: bool, selection: Selection) -> torch.Tensor:
        """Predictions for the selected atoms or for structures made of them, (num_samples, size).

        :param nodes: features of all atoms.
        :param kind: ``"atom"`` or ``"system"``.
        :param averaged: whether a structure has the mean of its atoms instead of their sum.
        """
        pooled = of_nodes(self.last_features(nodes[selection.atoms]))
        return self(of_samples(pooled, kind, averaged, selection))  # type: ignore[no-any-return]
