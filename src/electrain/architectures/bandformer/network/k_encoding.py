"""What the decoder knows of a k-point before it has seen the others: plane waves, or what has their symmetry."""

import itertools
import math

import torch
from torch import nn

from electrain.nn.batch import Edges
from electrain.nn.graph_network import GaussianExpansion
from electrain.nn.layers import Linear
from electrain.nn.perceptron import Perceptron
from electrain.nn.pooling import pool_nodes

# Added to squares before their root is taken, so that it has a gradient at zero.
_MIN_SQUARE = 1e-4


class PaperEncoding(nn.Module):
    r"""Plane waves of the paper, equations 2 and 3.

    .. math::
        f_n(k) = e^{2 \pi i \omega_n k}, \qquad \omega_n = 10^{-n / (D - 1)}, \qquad D = \lfloor w / 6 \rfloor

    for each of the three fractional coordinates; real and imaginary parts. They are neither periodic nor even.

    Source: Gong et al., "Graph transformer networks for accurate band structure prediction" (2024).

    :param width: number of features w of a k-point.
    """

    frequencies: torch.Tensor  # (D,)

    def __init__(self, width: int) -> None:
        super().__init__()
        number = max(2, width // 6)
        exponents = torch.arange(number, dtype=torch.get_default_dtype()) / (number - 1)
        self.register_buffer("frequencies", 2.0 * math.pi * 10.0**-exponents)
        self.project = Linear(6 * number, width)

    def forward(self, k_points: torch.Tensor, nodes: torch.Tensor, graph: Edges, owners: torch.Tensor) -> torch.Tensor:
        """K-points (num_systems, num_k, 3) -> features (num_systems, num_k, width); no atom is read."""
        phases = (k_points.unsqueeze(3) * self.frequencies).flatten(2)
        return self.project(torch.cat([torch.cos(phases), torch.sin(phases)], dim=2))  # type: ignore[no-any-return]


def shortest_vectors(number: int) -> torch.Tensor:
    """Find the shortest integer vectors, one of n and -n, without zero: (number, 3), in ascending order."""
    reach = 1
    while True:
        found = [n for n in itertools.product(range(-reach, reach + 1), repeat=3) if n > (0, 0, 0)]
        # within this sphere none is missing
        inside = sorted(
            (n for n in found if sum(i * i for i in n) <= reach**2), key=lambda n: (sum(i * i for i in n), n)
        )
        if len(inside) >= number:
            return torch.tensor(inside[:number], dtype=torch.get_default_dtype()).reshape(number, 3)
        reach += 1


class LatticeEncoding(nn.Module):
    r"""Features that are the same for k, -k (time reversal) and k + G, with any reciprocal lattice vector G.

    * Cosines :math:`\cos 2 \pi n \cdot k` of the shortest integer vectors n. They depend on the choice of the cell.
    * Bloch sums of learned hoppings, which do not,

      .. math::
          H_{ij}(k) = \sum_S t_{ijS}\, e^{2 \pi i k \cdot S}, \qquad
          \Big\langle H_{ii} \Big\rangle_i, \qquad
          \Big\langle \Big(\sum_j |H_{ij}|^2 + \epsilon\Big)^{1/2} \Big\rangle_i

      where :math:`t_{ijS}` is a number for the atom i and the image S of atom j, a network of their distance and of
      the sum of their features, times the cutoff function. :math:`H_{ii}` is real, because S and -S have equal
      hoppings. The square of the root is the second moment of a local density of states at k. A phase of its own for
      each atom, or another image of it in the cell, changes neither.

    :param width: number of features of an atom and of a k-point.
    :param num_cosines: number of cosines.
    :param num_hoppings: number of Hamiltonians H.
    :param radius: largest distance, in Angstrom, for the Gaussians.
    :param num_gaussians: number of Gaussians of a distance.
    """

    vectors: torch.Tensor  # (num_cosines, 3)

    LOW_RANK_LAYERS = ("of_atoms",)

    def __init__(self, width: int, *, num_cosines: int, num_hoppings: int, radius: float, num_gaussians: int) -> None:
        super().__init__()
        self.min_square = _MIN_SQUARE
        self.register_buffer("vectors", shortest_vectors(num_cosines))
        self.expand = GaussianExpansion(radius, num_gaussians)
        self.of_atoms = Linear(width, num_gaussians)
        self.hopping = Perceptron(num_gaussians, width, num_hoppings)
        self.project = Perceptron(num_cosines + 2 * num_hoppings, width, width)

    def forward(self, k_points: torch.Tensor, nodes: torch.Tensor, graph: Edges, owners: torch.Tensor) -> torch.Tensor:
        """Encode the k-points of all structures.

        :param k_points: (num_systems, num_k, 3) fractional coordinates.
        :param nodes: (num_atoms, width) features of all atoms.
        :param graph: edges with their cell shifts.
        :param owners: (num_atoms,) structure of each atom.
        :return: (num_systems, num_k, width).
        """
        cosines = torch.cos(2.0 * math.pi * torch.matmul(k_points, self.vectors.transpose(0, 1)))
        return self.project(torch.cat([cosines, self.bloch_sums(k_points, nodes, graph, owners)], dim=2))  # type: ignore[no-any-return]

    @torch.jit.export
    def bloch_sums(
        self, k_points: torch.Tensor, nodes: torch.Tensor, graph: Edges, owners: torch.Tensor
    ) -> torch.Tensor:
        """Means over the atoms of diagonals and rows of H, (num_systems, num_k, 2 * num_hoppings)."""
        num_systems, num_k, num_atoms = k_points.shape[0], k_points.shape[1], len(nodes)
        centers, neighbors = graph.centers, graph.neighbors
        shifts = graph.cell_shifts
        assert shifts is not None
        of_atoms = self.of_atoms(nodes)
        inputs = self.expand(graph.distances) + of_atoms[centers] + of_atoms[neighbors]
        hoppings = self.hopping(inputs) * graph.weights.unsqueeze(1)  # (num_edges, num_hoppings)
        phases = torch.matmul(k_points[owners[centers]], shifts.to(k_points.dtype).unsqueeze(2)).squeeze(2)
        phases = 2.0 * math.pi * phases  # (num_edges, num_k)
        # edges are sorted by center and neighbor, so that those of one element of H follow each other
        _, element = torch.unique_consecutive(centers * num_atoms + neighbors, return_inverse=True)
        first = torch.ones_like(element, dtype=torch.bool)
        first[1:] = element[1:] > element[:-1]
        rows, columns = centers[first], neighbors[first]
        empty = hoppings.new_zeros(len(rows), num_k, hoppings.shape[1])
        real = empty.index_add(0, element, torch.cos(phases).unsqueeze(2) * hoppings.unsqueeze(1))
        imaginary = empty.index_add(0, element, torch.sin(phases).unsqueeze(2) * hoppings.unsqueeze(1))
        of_atom = hoppings.new_zeros(num_atoms, num_k, hoppings.shape[1])
        squares = of_atom.index_add(0, rows, real.square() + imaginary.square())
        own = rows == columns
        diagonals = of_atom.index_add(0, rows[own], real[own])
        both = torch.cat([diagonals, torch.sqrt(squares + self.min_square)], dim=2)
        return pool_nodes(both.flatten(1), owners, num_systems, True).reshape(num_systems, num_k, both.shape[2])
