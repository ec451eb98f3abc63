"""The decoder: k-points attend to each other and to the atoms, and dispersions are decoded from them.

Source: Gong et al., "Graph transformer networks for accurate band structure prediction" (2024).
"""

import torch
from torch import nn

from electrain.nn.energy_embeddings import CrossAttention
from electrain.nn.layers import Linear
from electrain.nn.perceptron import Perceptron


class DecoderLayer(nn.Module):
    """K-points of a structure attend to each other, then to its atoms (graph to sequence).

    :param width: number of features of a k-point and of an atom.
    :param num_heads: number of attention heads.
    :param feedforward_width: number of hidden features of the feed-forward network.
    :param dropout: share of the attention weights, hidden features and updates that is left out in training.
    """

    def __init__(self, width: int, num_heads: int, feedforward_width: int, dropout: float) -> None:
        super().__init__()
        self.of_k_points = CrossAttention(width, width, num_heads, 0, dropout)
        self.of_atoms = CrossAttention(width, width, num_heads, feedforward_width, dropout)

    @torch.jit.export
    def keys(self, nodes: torch.Tensor) -> torch.Tensor:
        """Those of atoms, (num_atoms, width) -> (num_atoms, width)."""
        return self.of_atoms.key(nodes)  # type: ignore[no-any-return]

    @torch.jit.export
    def values(self, nodes: torch.Tensor) -> torch.Tensor:
        """Likewise."""
        return self.of_atoms.value(nodes)  # type: ignore[no-any-return]

    def forward(
        self, k_points: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        """Update the features of the k-points of some structures.

        :param k_points: (rows, num_k, width).
        :param keys: (rows, length, width) of atoms, results of :meth:`keys`.
        :param values: (rows, length, width) likewise, of :meth:`values`.
        :param bias: (rows, 1, 1, length), ``-inf`` for empty slots.
        :return: (rows, num_k, width).
        """
        attention = self.of_k_points
        normalized = attention.normalize_queries(k_points)
        everywhere = k_points.new_zeros(len(k_points), 1, 1, k_points.shape[1])
        k_points = attention(k_points, attention.key(normalized), attention.value(normalized), everywhere)
        return self.of_atoms(k_points, keys, values, bias)  # type: ignore[no-any-return]


class PointsOutput(nn.Module):
    r"""Dispersions at each k-point, :math:`d_{nk} = \phi(z_k + W g)_n`, without their mean over k.

    :param width: number of features of a k-point z, and of the crystal g.
    :param num_bands: number of bands.
    :param dropout: share of the hidden features that is left out in training.
    """

    LOW_RANK_LAYERS = ("of_crystal",)

    def __init__(self, width: int, num_bands: int, dropout: float) -> None:
        super().__init__()
        self.of_crystal = Linear(width, width)
        self.network = Perceptron(width, width, num_bands, dropout=dropout)

    def forward(self, k_points: torch.Tensor, crystals: torch.Tensor) -> torch.Tensor:
        """(rows, num_k, width) and (rows, width) -> (rows, num_bands, num_k)."""
        energies = self.network(k_points + self.of_crystal(crystals).unsqueeze(1)).transpose(1, 2)
        return energies - energies.mean(dim=2, keepdim=True)  # type: ignore[no-any-return]


class FourierOutput(nn.Module):
    r"""The lowest Fourier coefficients of dispersions along the path, transformed back.

    .. math::
        d_{nk} = \mathrm{Re} \sum_{m=1}^{M} 2 c_{nm}\, e^{2 \pi i m k / K}, \qquad
        c_m = \phi\Big(W_c \hat z_m + E_m + W g\Big), \qquad
        \hat z_m = \frac{1}{K} \sum_k z_k\, e^{-2 \pi i m k / K}

    with the number k = 0 ... K - 1 of a k-point, its features z, those of the crystal g, and a learned row E for each
    coefficient. The constant is left out, so that the mean over k is zero.

    :param width: number of features of a k-point, and of the crystal.
    :param num_bands: number of bands.
    :param dropout: share of the hidden features that is left out in training.
    :param num_fourier: number M of coefficients.
    """

    LOW_RANK_LAYERS = ("of_crystal", "of_waves")

    def __init__(self, width: int, num_bands: int, dropout: float, num_fourier: int) -> None:
        super().__init__()
        self.num_fourier = num_fourier
        self.of_crystal, self.of_waves = Linear(width, width), Linear(2 * width, width)
        self.orders = nn.Parameter(torch.randn(num_fourier, width))
        self.network = Perceptron(width, width, 2 * num_bands, dropout=dropout)

    def forward(self, k_points: torch.Tensor, crystals: torch.Tensor) -> torch.Tensor:
        """(rows, num_k, width) and (rows, width) -> (rows, num_bands, num_k)."""
        waves = torch.fft.rfft(k_points, dim=1, norm="forward")[:, 1 : self.num_fourier + 1]
        inputs = self.of_waves(torch.cat([waves.real, waves.imag], dim=2))
        inputs = inputs + self.orders.to(inputs.dtype) + self.of_crystal(crystals).unsqueeze(1)
        real, imaginary = self.network(inputs).transpose(1, 2).chunk(2, dim=1)
        coefficients = torch.complex(real, imaginary)
        constant = torch.zeros_like(coefficients[:, :, :1])
        spectrum = torch.cat([constant, coefficients], dim=2)
        return torch.fft.irfft(spectrum, n=k_points.shape[1], dim=2, norm="forward")
