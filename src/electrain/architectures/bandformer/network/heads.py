"""Heads of Bandformer: bands from k-points that attend to atoms, and all other targets from features of atoms."""

from typing import NamedTuple

import torch
from torch import nn

from electrain.nn.atom_sets import SetBucket, bucketed, whole_structures
from electrain.nn.batch import Edges
from electrain.nn.perceptron import Perceptron
from electrain.nn.pooled_head import PooledHead
from electrain.nn.pooling import pool_nodes
from electrain.nn.selection import Selection

from .decoder import DecoderLayer, FourierOutput, PointsOutput
from .k_encoding import LatticeEncoding, PaperEncoding


class Features(NamedTuple):
    """Input of all heads."""

    nodes: torch.Tensor  # (num_atoms, width)
    system_of_atom: torch.Tensor  # (num_atoms,) int64
    num_systems: int
    graph: Edges
    k_points: torch.Tensor | None  # (num_systems, num_k, 3), see `Batch`


class TransformerShape(NamedTuple):
    """Sizes that encoder and decoder share."""

    width: int
    num_heads: int
    feedforward_width: int
    dropout: float


class BandsShape(NamedTuple):
    """Bands, and how they are decoded, see :class:`BandsHead`."""

    num_bands: int
    num_k_points: int
    num_decoder_layers: int
    k_encoding: str
    num_cosines: int
    num_hoppings: int
    bands_as: str
    num_fourier: int


class NumberHead(PooledHead):
    """Numbers, or all values of a spectrum, of each atom; summed up or averaged over structures."""

    @torch.jit.export
    def predict(self, features: Features, kind: str, averaged: bool, selection: Selection) -> torch.Tensor:
        """Predictions for the selected atoms or for structures made of them, (num_samples, size)."""
        return self.of_selection(features.nodes, kind, averaged, selection)


class BandsHead(nn.Module):
    r"""Energies of bands at k-points, :math:`E_{nk} = c_n + d_{nk}` in eV.

    The centers :math:`c = c_0 + \phi(g)` are read from features of the crystal, the mean of those of its atoms and a
    learned vector times the logarithm of their number,

    .. math:: g = \langle x_i \rangle_i + u \ln N

    and the dispersions d, which have no mean over k, from the k-points. The centers begin near the means :math:`c_0` of
    the training set.

    :param shape: sizes of the transformer.
    :param bands: the bands.
    :param radius: largest distance between neighbors, in Angstrom.
    :param num_gaussians: number of Gaussians of a distance.
    """

    def __init__(self, shape: TransformerShape, bands: BandsShape, *, radius: float, num_gaussians: int) -> None:
        super().__init__()
        width, dropout = shape.width, shape.dropout
        self.num_bands, self.num_k_points = bands.num_bands, bands.num_k_points
        if bands.k_encoding == "paper":
            self.encode: nn.Module = PaperEncoding(width)
        else:
            self.encode = LatticeEncoding(
                width,
                num_cosines=bands.num_cosines,
                num_hoppings=bands.num_hoppings,
                radius=radius,
                num_gaussians=num_gaussians,
            )
        self.layers = nn.ModuleList(
            DecoderLayer(width, shape.num_heads, shape.feedforward_width, dropout)
            for _ in range(bands.num_decoder_layers)
        )
        self.of_size = nn.Parameter(torch.randn(width))
        self.centers = Perceptron(width, width, bands.num_bands, dropout=dropout)
        self.start = nn.Parameter(torch.zeros(bands.num_bands))
        if bands.bands_as == "fourier":
            self.output: nn.Module = FourierOutput(width, bands.num_bands, dropout, bands.num_fourier)
        else:
            self.output = PointsOutput(width, bands.num_bands, dropout)

    @torch.jit.unused
    def start_from_mean(self, mean: torch.Tensor) -> None:
        """Begin with the centers of mean bands, (num_bands * num_k,) in eV."""
        centers = mean.reshape(self.num_bands, self.num_k_points).mean(dim=1)
        self.start.data.copy_(centers.to(self.start))

    @torch.jit.export
    def last_features(self, nodes: torch.Tensor) -> torch.Tensor:
        """Those of the atoms: no linear map is the last one of all energies."""
        return nodes

    @torch.jit.export
    def predict(self, features: Features, kind: str, averaged: bool, selection: Selection) -> torch.Tensor:
        """Bands of structures, (num_systems, num_bands * num_k), or those of the structure of each selected atom.

        They are NaN for structures without k-points.

        :raises ValueError: for another number of k-points.
        """
        nodes, k_points = features.nodes, features.k_points
        if k_points is None:
            energies = nodes.new_full([features.num_systems, self.num_bands * self.num_k_points], float("nan"))
        else:
            if k_points.shape[1] != self.num_k_points:
                raise ValueError(
                    "expected "
                    + str(self.num_k_points)
                    + " k-points of each structure, for as many the bands are learned, got "
                    + str(k_points.shape[1])
                )
            unknown = torch.isnan(k_points[:, :1, 0])
            energies = self.energies(features, torch.nan_to_num(k_points)).flatten(1).masked_fill(unknown, float("nan"))
        return energies if kind == "system" else energies[selection.system_of_atom]

    @torch.jit.export
    def energies(self, features: Features, k_points: torch.Tensor) -> torch.Tensor:
        """Energies (num_systems, num_bands, num_k); without atoms, dispersions are zero."""
        nodes, owners, num_systems = features.nodes, features.system_of_atom, features.num_systems
        crystals = pool_nodes(nodes, owners, num_systems, True)
        numbers = pool_nodes(torch.ones_like(nodes[:, :1]), owners, num_systems, False)
        crystals = crystals + self.of_size.to(nodes.dtype) * torch.log(numbers.clamp_min(1.0))
        centers = self.start.to(nodes.dtype) + self.centers(crystals)
        encoded = self.encode(k_points, nodes, features.graph, owners)
        keys: list[torch.Tensor] = []
        values: list[torch.Tensor] = []
        for layer in self.layers:
            keys.append(layer.keys(nodes))  # type: ignore[operator]
            values.append(layer.values(nodes))  # type: ignore[operator]
        found: list[torch.Tensor] = [nodes.new_zeros(0, self.num_bands, self.num_k_points)]
        structures: list[torch.Tensor] = [owners[:0]]
        for bucket in bucketed(whole_structures(owners, num_systems, nodes)):
            decoded = self.decoded(encoded[bucket.sets], keys, values, bucket)
            found.append(self.output(decoded, crystals[bucket.sets]))
            structures.append(bucket.sets)
        dispersions = nodes.new_zeros(num_systems, self.num_bands, self.num_k_points)
        dispersions = dispersions.index_copy(0, torch.cat(structures), torch.cat(found))
        return centers.unsqueeze(2) + dispersions  # type: ignore[no-any-return]

    @torch.jit.export
    def decoded(
        self, k_points: torch.Tensor, keys: list[torch.Tensor], values: list[torch.Tensor], bucket: SetBucket
    ) -> torch.Tensor:
        """Features of the k-points of some structures after all layers, (rows, num_k, width).

        :param k_points: (rows, num_k, width) before them.
        :param keys: of all atoms, for each layer (num_atoms, width).
        :param values: likewise.
        :param bucket: the atoms of the structures.
        """
        for i, layer in enumerate(self.layers):
            k_points = layer(k_points, keys[i][bucket.atoms], values[i][bucket.atoms], bucket.bias)
        return k_points
