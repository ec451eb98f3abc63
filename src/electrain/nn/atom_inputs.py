"""What a network knows of an atom before it has seen its neighbors."""

import torch
from torch import nn
from torch.nn import functional

KINDS = ("embedding", "one_hot", "mass_weighted_one_hot")


class AtomInputs(nn.Module):
    r"""Element -> input features :math:`X_i` of an atom.

    * ``"embedding"``: a learned row for each element, (num_atoms, width).
    * ``"one_hot"``: 1 in the column of the element and 0 elsewhere, (num_atoms, num_elements).
    * ``"mass_weighted_one_hot"``: the mass of the element, in unified atomic mass units, in its column.

    :param kind: one of these.
    :param masses: (num_elements,) in u.
    :param width: number of features of an embedding.
    :raises ValueError: for another kind.
    """

    masses: torch.Tensor  # (num_elements,) | u

    def __init__(self, kind: str, masses: torch.Tensor, width: int) -> None:
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"the features of atoms must be one of {', '.join(KINDS)}, got {kind!r}")
        self.num_elements = len(masses)
        self.kind = kind
        self.size = width if kind == "embedding" else self.num_elements
        self.embedding = nn.Embedding(self.num_elements, width) if kind == "embedding" else None
        self.register_buffer("masses", masses.to(torch.get_default_dtype()))

    def forward(self, elements: torch.Tensor) -> torch.Tensor:
        """Elements (num_atoms,) -> features (num_atoms, size)."""
        if self.embedding is not None:
            return self.embedding(elements)  # type: ignore[no-any-return]
        features = functional.one_hot(elements, self.num_elements).to(self.masses.dtype)
        if self.kind == "mass_weighted_one_hot":
            return features * self.masses
        return features
