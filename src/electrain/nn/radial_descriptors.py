"""Fixed descriptors of atomic neighborhoods, which need no data to be learned from."""

import math

import torch
from torch import nn

from .batch import Batch
from .edges import edge_vectors

NUM_RADII = 10
FIRST_RADIUS = 1.2  # Angstrom
WIDTH = 0.35  # Angstrom
_MIN_DEVIATION = 1e-3


class RadialDescriptors(nn.Module):
    r"""How much of what an atom sees at which distance.

    .. math:: d_{i,pn} = \sum_j p(z_j)\, e^{-(r_{ij} - c_n)^2 / 2 w^2} f_c(r_{ij})

    with ten radii :math:`c_n` from 1.2 Angstrom to 0.3 Angstrom below the cutoff, w = 0.35 Angstrom, a cosine cutoff
    function, and the weights p of the elements; standardised with mean and deviation over the atoms of a training set
    (:meth:`fit`).

    :param weights: (num_elements, num_weights), see :func:`~electrain.nn.element_properties.neighbor_weights`.
    :param radius: cutoff in Angstrom.
    :raises ValueError: for a cutoff that leaves no room for the radii.
    """

    weights: torch.Tensor  # (num_elements, num_weights)
    radii: torch.Tensor  # (NUM_RADII,) | Angstrom
    mean: torch.Tensor  # (size,)
    deviation: torch.Tensor  # (size,)

    by_element = False  # whether `fit` takes statistics of each element

    def __init__(self, weights: torch.Tensor, radius: float) -> None:
        super().__init__()
        if radius < 2 * FIRST_RADIUS:
            raise ValueError(
                f"expected a cutoff of the descriptors of at least {2 * FIRST_RADIUS} Angstrom, got {radius}"
            )
        dtype = torch.get_default_dtype()
        self.radius = radius
        self.size = weights.shape[1] * NUM_RADII
        self.width: float = WIDTH  # TorchScript: constants of modules cannot be read
        self.register_buffer("weights", weights.to(dtype))
        self.register_buffer("radii", torch.linspace(FIRST_RADIUS, radius - 0.3, NUM_RADII, dtype=dtype))
        self.register_buffer("mean", torch.zeros(self.size, dtype=dtype))
        self.register_buffer("deviation", torch.ones(self.size, dtype=dtype))

    @torch.jit.unused
    @torch.no_grad()
    def fit(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        """Set mean and variance (size,) of the raw descriptors of a training set."""
        self.mean.copy_(mean)
        self.deviation.copy_(variance.clamp_min(0.0).sqrt() + _MIN_DEVIATION)

    @torch.jit.export
    def raw(self, batch: Batch) -> torch.Tensor:
        """Descriptors before standardisation, (num_atoms, size)."""
        distances = torch.linalg.vector_norm(edge_vectors(batch), dim=1)
        inside = distances < self.radius
        centers, neighbors, distances = batch.centers[inside], batch.neighbors[inside], distances[inside]
        cutoff = 0.5 * (torch.cos(math.pi * distances / self.radius) + 1.0)
        gaussians = torch.exp(-0.5 * ((distances.unsqueeze(1) - self.radii) / self.width) ** 2) * cutoff.unsqueeze(1)
        seen = self.weights[batch.elements[neighbors]]
        products = (seen.unsqueeze(2) * gaussians.unsqueeze(1)).flatten(1)
        return products.new_zeros(len(batch.elements), products.shape[1]).index_add(0, centers, products)

    def forward(self, batch: Batch) -> torch.Tensor:
        """Descriptors of all atoms, (num_atoms, size)."""
        return (self.raw(batch) - self.mean) / self.deviation
