"""Networks of two linear layers."""

import torch
from torch import nn
from torch.nn import functional

from .layers import LayerNorm, Linear


class Perceptron(nn.Module):
    r"""Two linear layers, :math:`W_2\, \sigma(W_1 x + b_1) + b_2` with SiLU as nonlinearity.

    :param in_width: number of features of the input.
    :param width: number of hidden features.
    :param out_width: number of features of the result.
    :param dropout: share of the hidden features that is left out in training.
    :param normalized: whether the result is normalised to zero mean and unit variance.
    """

    LOW_RANK_LAYERS = ("first", "second")

    def __init__(
        self, in_width: int, width: int, out_width: int, *, dropout: float = 0.0, normalized: bool = False
    ) -> None:
        super().__init__()
        self.first, self.second = Linear(in_width, width), Linear(width, out_width)
        self.dropout = nn.Dropout(dropout)
        self.normalize = LayerNorm(out_width) if normalized else nn.Identity()

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(..., in_width) -> (..., out_width)."""
        return self.after_first(self.first(values))

    @torch.jit.export
    def after_first(self, hidden: torch.Tensor) -> torch.Tensor:
        """Results of the first layer (..., width) -> (..., out_width)."""
        return self.normalize(self.second(self.dropout(functional.silu(hidden))))  # type: ignore[no-any-return]
