"""Features of elements: learned one by one, or from their properties."""

import torch
from torch import nn
from torch.nn import functional

# The share of what is learned for each element alone
OWN = 0.1


class ElementEmbedding(nn.Module):
    r"""A row of features for each element.

    Without properties, a learned table E. With properties P, :math:`P W + 0.1 E`: elements with few data share what the
    map W has learned from others that are like them.

    :param num_elements: number of elements.
    :param width: number of features.
    :param properties: result of :func:`~electrain.nn.element_properties.element_properties`, or ``None``.
    """

    def __init__(self, num_elements: int, width: int, properties: torch.Tensor | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(num_elements, width))
        self.own: float = OWN  # TorchScript: constants of modules cannot be read
        # (num_elements, num_properties); TorchScript: not annotated, so that the branch for `None` is not compiled
        self.register_buffer("properties", None if properties is None else properties.to(self.weight))
        if properties is not None:
            self.map = nn.Parameter(0.5 * torch.randn(properties.shape[1], width))

    @torch.jit.export
    def table(self) -> torch.Tensor:
        """All features, (num_elements, width)."""
        if self.properties is None:
            return self.weight
        return self.properties @ self.map + self.own * self.weight  # type: ignore[operator]

    def forward(self, elements: torch.Tensor) -> torch.Tensor:
        """Elements (num_atoms,) -> features (num_atoms, width)."""
        return functional.embedding(elements, self.table())
