"""Layers that compute in the precision of their input, regardless of the precision of their parameters.

The dtype of the tokens therefore determines the precision in which a network of these layers runs (see
``precision.py``). TorchScript: its gradients do not convert between dtypes, so every change of precision is an explicit
`to`.
"""

import torch
from torch import nn
from torch.nn import functional


class Linear(nn.Linear):
    """A linear layer with a bias."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(..., in_features) -> (..., out_features)."""
        return functional.linear(features, self.weight.to(features.dtype), self.bias.to(features.dtype))


class LayerNorm(nn.LayerNorm):
    """Normalisation to zero mean and unit variance; statistics of bfloat16 features are computed in float32."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Any shape (..., width)."""
        weight, bias = self.weight.to(features.dtype), self.bias.to(features.dtype)
        return functional.layer_norm(features, self.normalized_shape, weight, bias, self.eps)


class RMSNorm(nn.RMSNorm):
    """Normalisation by the root mean square, in the precision of the parameters, on which torch's epsilon depends."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Any shape (..., width)."""
        normalized = functional.rms_norm(features.to(self.weight.dtype), self.normalized_shape, self.weight, self.eps)
        return normalized.to(features.dtype)


class OverwritingSiLU(nn.Module):
    """SiLU of a tensor that nothing else reads; in place if no gradient needs the input."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Any shape; the input may be overwritten."""
        return functional.silu(features, inplace=not features.requires_grad)
