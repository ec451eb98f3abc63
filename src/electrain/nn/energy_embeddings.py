"""Learned embeddings of energies: they attend to atoms, and a spectrum is decoded from them.

Source: Lee et al., "Predicting density of states via multi-modal transformer" (2023), equations 2 and 3.
"""

import torch
from torch import nn

from .attention import attend
from .layers import LayerNorm, Linear
from .perceptron import Perceptron

# Without gradients, so many features of energies are computed at once, to save memory.
_FEATURES_AT_ONCE = 2**22


def spectra_at_once(num_energies: int, width: int) -> int:
    """How many spectra are computed at once without gradients."""
    return max(1, _FEATURES_AT_ONCE // (num_energies * width))


class CrossAttention(nn.Module):
    r"""One layer of the transformer from energies to atoms, equation 2.

    .. math::
        E &\leftarrow E + W_O\, \mathrm{softmax}\Big(\frac{\bar E W_Q (H W_K)^T}{\sqrt{d}} + \log w\Big) H W_V \\
        E &\leftarrow E + \phi(\bar E)

    with the normalised embeddings :math:`\bar E`, several heads that share the width of E, the weights w of the atoms,
    and a network :math:`\phi` of two layers.

    :param width: number of features of an energy, divisible by ``num_heads``.
    :param atom_width: number of features of an atom.
    :param num_heads: number of attention heads.
    :param feedforward_width: number of hidden features of the network, which is left out if this is 0.
    :param dropout: share of the attention weights, hidden features and updates that is left out in training.
    :raises ValueError: for a width that the heads cannot share.
    """

    LOW_RANK_LAYERS = ("query", "key", "value", "output")

    def __init__(self, width: int, atom_width: int, num_heads: int, feedforward_width: int, dropout: float) -> None:
        super().__init__()
        if width % num_heads != 0:
            raise ValueError(
                f"the width of energies must be divisible by the number of heads, got {width} and {num_heads}"
            )
        self.num_heads, self.head_width = num_heads, width // num_heads
        self.rate = dropout
        self.normalize_queries = LayerNorm(width)
        self.query, self.output = Linear(width, width), Linear(width, width)
        self.key, self.value = Linear(atom_width, width), Linear(atom_width, width)
        self.dropout = nn.Dropout(dropout)
        self.normalize = LayerNorm(width)
        self.feedforward = (
            Perceptron(width, feedforward_width, width, dropout=dropout) if feedforward_width > 0 else None
        )

    def forward(
        self, energies: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, bias: torch.Tensor
    ) -> torch.Tensor:
        """Let the energies of each row attend to its atoms.

        :param energies: (rows, num_energies, width), or one row for all.
        :param keys: (rows, length, width) of atoms, results of ``self.key``.
        :param values: (rows, length, width) likewise, of ``self.value``.
        :param bias: (rows, 1, 1, length) logarithm of the weights of the atoms, ``-inf`` for empty slots.
        :return: (rows, num_energies, width).
        """
        queries = self.query(self.normalize_queries(energies))
        queries = queries.expand(len(keys), queries.shape[1], queries.shape[2])
        mixed = attend(
            self._of_heads(queries),
            self._of_heads(keys),
            self._of_heads(values),
            bias,
            self.head_width**-0.5,
            self.rate if self.training else 0.0,
        )
        energies = energies + self.dropout(self.output(mixed))
        if self.feedforward is not None:
            energies = energies + self.dropout(self.feedforward(self.normalize(energies)))
        return energies

    def _of_heads(self, features: torch.Tensor) -> torch.Tensor:
        """(rows, n, width) -> (rows, heads, n, head_width)."""
        rows, number = features.shape[0], features.shape[1]
        return features.reshape(rows, number, self.num_heads, self.head_width).transpose(1, 2)


class EnergyDecoder(nn.Module):
    r"""A value for each energy, equation 3.

    .. math:: y_j = \phi(E_j + \alpha\, g)

    with a network :math:`\phi` of two layers and the learned number :math:`\alpha`. It also has the embeddings of the
    energies before any attention, :math:`E_j^0`.

    :param num_energies: number of values.
    :param width: number of features of an energy.
    :param pooled_width: number of features of g; of another width, g is multiplied by a matrix first.
    :param dropout: share of the hidden features that is left out in training.
    """

    def __init__(self, num_energies: int, width: int, pooled_width: int, dropout: float) -> None:
        super().__init__()
        self.at_once: int = spectra_at_once(num_energies, width)
        self.embeddings = nn.Parameter(torch.randn(num_energies, width))
        self.alpha = nn.Parameter(torch.ones(1))
        self.project = nn.Identity() if width == pooled_width else Linear(pooled_width, width)
        self.network = Perceptron(width, width, 1, dropout=dropout)

    def forward(self, energies: torch.Tensor, pooled: torch.Tensor) -> torch.Tensor:
        """Decode one spectrum for each row.

        :param energies: (rows, num_energies, width), or one row for all.
        :param pooled: (rows, pooled_width), g.
        :return: (rows, num_energies).
        """
        shifted = energies + (self.alpha * self.project(pooled)).unsqueeze(1)
        return self.network(shifted).squeeze(2)  # type: ignore[no-any-return]

    @torch.jit.export
    def spectra(self, pooled: torch.Tensor) -> torch.Tensor:
        """Decode the embeddings of energies as they are, (rows, pooled_width) -> (rows, num_energies).

        The first layer is linear, so it runs once for each energy and once for each row instead of for all pairs.
        """
        first = self.network.first
        of_energies = first(self.embeddings)
        of_rows = first(self.alpha * self.project(pooled)) - first.bias  # which `of_energies` has already
        rows = max(1, len(pooled)) if pooled.requires_grad else self.at_once
        parts: list[torch.Tensor] = []
        for part in of_rows.split(rows):
            parts.append(self.network.after_first(of_energies + part.unsqueeze(1)).squeeze(2))
        return torch.cat(parts)
