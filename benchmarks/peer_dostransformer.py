"""DOSTransformer's public code for phonon spectra (https://github.com/HeewoongNoh/DOSTransformer), to be timed.

It needs torch_geometric, torch_scatter, torch_cluster and e3nn. The four functions that its network uses of them are
below, for machines without compilers.
"""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from ase import Atoms
from ase.data import atomic_masses
from ase.neighborlist import neighbor_list

CUTOFF = 4.0  # A, that of its main_phDOS.py
WIDTH, NUM_LAYERS, NUM_ATTENTION_LAYERS = 256, 3, 2  # table 4 of the paper


def scatter_sum(values: torch.Tensor, index: torch.Tensor, dim: int = 0, dim_size: int | None = None) -> torch.Tensor:
    """Sum rows with the same index."""
    size = int(index.max()) + 1 if dim_size is None else dim_size
    return values.new_zeros(size, values.shape[1]).index_add(dim, index, values)


def scatter_mean(values: torch.Tensor, index: torch.Tensor, dim: int = 0, dim_size: int | None = None) -> torch.Tensor:
    """Average rows with the same index."""
    sums = scatter_sum(values, index, dim, dim_size)
    counts = torch.bincount(index, minlength=len(sums)).clamp_min(1)
    return sums / counts.unsqueeze(1)


def to_dense_batch(rows: torch.Tensor, batch: torch.Tensor) -> tuple[torch.Tensor, None]:
    """Pad the structures of a batch to the same number of atoms."""
    counts = torch.bincount(batch)
    first = torch.cumsum(counts, 0) - counts
    dense = rows.new_zeros(len(counts), int(counts.max()), rows.shape[1])
    return dense.index_put((batch, torch.arange(len(rows)) - first[batch]), rows), None


def spherical_harmonics(_: Any, vectors: torch.Tensor, normalize: bool, normalization: str) -> torch.Tensor:
    """Those of degrees 0 and 1 of directions; e3nn's order is y, z, x."""
    assert normalize and normalization == "component"
    directions = torch.nn.functional.normalize(vectors, dim=1)
    return torch.cat([torch.ones_like(vectors[:, :1]), 3**0.5 * directions], dim=1)


def smooth_cutoff(x: torch.Tensor) -> torch.Tensor:
    """1 at small distances, 0 beyond the cutoff."""
    u = 2 * (x - 1)
    return torch.where(u > 0, 0.0, torch.where(u < -1, 1.0, (1 - torch.cos(torch.pi * u)) / 2))


def _modules(functions: dict[str, dict[str, Any]]) -> None:
    for name, content in functions.items():
        parts = name.split(".")
        for depth in range(1, len(parts) + 1):
            sys.modules.setdefault(".".join(parts[:depth]), ModuleType(parts[depth - 1]))
        for key, value in content.items():
            setattr(sys.modules[name], key, value)


def make_network(folder: Path, dtype: torch.dtype) -> torch.nn.Module:
    """Make the network from a copy of the repository."""
    irreps = SimpleNamespace(spherical_harmonics=lambda degree: degree)
    o3 = ModuleType("o3")
    o3.Irreps, o3.spherical_harmonics = irreps, spherical_harmonics  # type: ignore[attr-defined]
    _modules(
        {
            "torch_scatter": {"scatter_sum": scatter_sum, "scatter_mean": scatter_mean},
            "torch_cluster": {"radius_graph": None},
            "torch_geometric.utils": {"to_dense_batch": to_dense_batch},
            "e3nn": {"o3": o3},
            "e3nn.nn.models.gate_points_2101": {"smooth_cutoff": smooth_cutoff},
        }
    )
    sys.path.insert(0, str(folder))
    try:
        from embedder_phDOS.DOSTransformer_phonon import DOSTransformer_phonon
    finally:
        sys.path.remove(str(folder))
    torch.manual_seed(0)
    return DOSTransformer_phonon(NUM_LAYERS, NUM_ATTENTION_LAYERS, 118, 4, WIDTH, "cpu", 0.0).to(dtype)


class Graph(dict[str, torch.Tensor]):
    """What the network reads: a dictionary whose items are attributes, too."""

    __getattr__ = dict.__getitem__


def make_graph(structures: list[Atoms], dtype: torch.dtype) -> Graph:
    """A batch as its `build_data` makes it, with periodic neighbors and each atom as its own neighbor."""
    x, batch, edges, vectors, first = [], [], [], [], 0
    masses = torch.diag(torch.from_numpy(atomic_masses[1:119]))
    for number, atoms in enumerate(structures):
        i, j, d = neighbor_list("ijD", atoms, CUTOFF, self_interaction=True)
        x.append(masses[torch.from_numpy(atoms.numbers) - 1])
        batch.append(torch.full((len(atoms),), number))
        edges.append(torch.stack([torch.from_numpy(i), torch.from_numpy(j)]) + first)
        vectors.append(torch.from_numpy(d))
        first += len(atoms)
    return Graph(
        x=torch.cat(x).to(dtype),
        batch=torch.cat(batch),
        edge_index=torch.cat(edges, dim=1),
        edge_vec=torch.cat(vectors).to(dtype),
        system=torch.zeros(len(structures), dtype=torch.int64),
    )
