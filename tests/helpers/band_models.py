"""Tiny models of bands, structures with k-points, and bands that are known in closed form."""

import copy

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import System, systems_to_torch
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import Dataset, DatasetInfo
from slow_graphs import varied
from tiny_models import request, scalar_info, target_infos, to_systems

from electrain.architectures.bandformer.model import Bandformer
from electrain.interface.quantities import BANDS
from electrain.interface.states import K_POINTS

NUM_BANDS, NUM_K = 2, 12
SMALL = {
    "cutoff": 4.0,
    "num_neighbors": 8.0,
    "width": 8,
    "num_heads": 2,
    "feedforward_width": 8,
    "num_encoder_layers": 2,
    "num_decoder_layers": 2,
    "num_gaussians": 8,
    "num_bands": NUM_BANDS,
    "num_k_points": NUM_K,
    "num_hoppings": 3,
    "num_fourier": 4,
}


def hypers(**options) -> dict:
    return {**copy.deepcopy(get_default_hypers("bandformer")["model"]), **SMALL, **options}


def bands_info(names: tuple[str, ...] = ("energy", BANDS), elements=(1, 6, 8, 14), **options) -> DatasetInfo:
    settings = hypers(**options)
    infos = {BANDS: scalar_info(BANDS, settings["num_bands"] * settings["num_k_points"]), **target_infos(("energy",))}
    return DatasetInfo("angstrom", list(elements), {name: infos[name] for name in names})


def make_model(info: DatasetInfo | None = None, *, seed: int = 0, **options) -> Bandformer:
    """Large random weights, so that predictions differ from structure to structure."""
    torch.manual_seed(seed)
    model = Bandformer(hypers(**options), bands_info(**options) if info is None else info)
    varied(model.network)
    return model.double().eval()


def row_map(values: torch.Tensor, properties: Labels, index: int = 0) -> TensorMap:
    """The values of a structure of a data set."""
    samples = Labels(["system"], torch.tensor([[index]], dtype=torch.int32))
    return TensorMap(Labels.single(), [TensorBlock(values.reshape(1, -1), samples, [], properties)])


def k_points_map(k_points: np.ndarray, index: int = 0) -> TensorMap:
    return row_map(torch.tensor(np.asarray(k_points)), Labels.range("k_points", k_points.size), index)


def with_k_points(frames: list[Atoms], paths, model) -> list[System]:
    """Systems of metatomic, those with a path with k-points."""
    systems = to_systems(frames, model)
    for system, path in zip(systems, paths, strict=True):
        if path is not None:
            system.add_data(K_POINTS, k_points_map(path))
    return systems


def predict_bands(model, frames: list[Atoms], paths) -> torch.Tensor:
    """(num_structures, num_bands, num_k); of a model or of an exported one."""
    systems = with_k_points(frames, paths, model)
    outputs = request([BANDS])
    found = model.module(systems, outputs, None) if hasattr(model, "module") else model(systems, outputs)
    values = found[BANDS].block().values.detach()
    return values.reshape(len(frames), -1, paths[0].shape[0] if paths[0] is not None else NUM_K)


def crystal() -> Atoms:
    """Without any symmetry."""
    atoms = bulk("SiC", "zincblende", a=4.2) * (1, 1, 2)
    atoms.positions += 0.1 * np.random.default_rng(1).normal(size=atoms.positions.shape)
    atoms.set_cell(atoms.cell[:] @ (np.eye(3) + 0.05 * np.random.default_rng(2).normal(size=(3, 3))), scale_atoms=True)
    return atoms


def random_paths(count: int, seed: int = 0) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).uniform(-0.5, 0.5, (count, NUM_K, 3)))


# --- simple cubic crystals of hydrogen, with the bands of nearest neighbors -------------------------------------------

CUBIC_PATH = np.concatenate(
    [
        np.linspace(start, end, 4, endpoint=False)
        for start, end in (
            ([0, 0, 0], [0.5, 0, 0]),
            ([0.5, 0, 0], [0.5, 0.5, 0]),
            ([0.5, 0.5, 0], [0.5, 0.5, 0.5]),
        )
    ]
)


def cubic_crystal(constant: float) -> Atoms:
    return Atoms("H", cell=[constant] * 3, pbc=True)


def cubic_bands(constant: float, k_points: np.ndarray = CUBIC_PATH) -> np.ndarray:
    """Energies in eV, (2, num_k): an s band, and one above it that is half as wide and upside down."""
    hopping = np.exp(-(constant - 2.0))
    band = -2.0 * hopping * np.cos(2.0 * np.pi * k_points).sum(axis=1)
    return np.stack([band, 6.0 * hopping - 0.5 * band])


def cubic_dataset(constants) -> Dataset:
    rows = torch.tensor(np.stack([cubic_bands(constant) for constant in constants])).flatten(1)
    properties = Labels.range("properties", rows.shape[1])
    return Dataset.from_dict(
        {
            "system": systems_to_torch([cubic_crystal(constant) for constant in constants], dtype=torch.float64),
            BANDS: [row_map(row, properties, i) for i, row in enumerate(rows)],
            K_POINTS: [k_points_map(CUBIC_PATH, i) for i in range(len(rows))],
        }
    )
