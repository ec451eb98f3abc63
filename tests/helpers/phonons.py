"""Made-up phonon densities of states: a peak for each atom, whose place depends on its element and its neighbors."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import systems_to_torch
from metatrain.utils.architectures import get_default_hypers, import_architecture
from metatrain.utils.data import Dataset, DatasetInfo
from tiny_models import ELEMENTS, scalar_info

from electrain.interface.fixed_axes import fixed_axis_to_labels
from electrain.interface.quantities import PHONON_DOS, PHONON_DOS_NORMALIZED
from electrain.spectra.fixed_axis import FixedAxis

AXIS = FixedAxis(0.0, 20.0, 51, "cm^-1")
PHONON_TARGETS = (PHONON_DOS, PHONON_DOS_NORMALIZED)
FIXED_AXES = {name: AXIS.to_dict() for name in PHONON_TARGETS}


def phonon_dos(atoms: Atoms) -> torch.Tensor:
    """Of the whole structure in states/cm^-1, three states an atom."""
    distances = atoms.get_all_distances(mic=True) + 10.0 * np.eye(len(atoms))
    centres = 800.0 - 15.0 * atoms.numbers - 100.0 * (distances.min(axis=1) - 1.0)
    width = 60.0
    frequencies = AXIS.values()
    peaks = [torch.exp(-0.5 * ((frequencies - float(centre)) / width) ** 2) for centre in centres]
    return 3.0 * torch.stack(peaks).sum(dim=0) / (width * np.sqrt(2.0 * np.pi))


def phonon_rows(frames: list[Atoms]) -> dict[str, torch.Tensor]:
    spectra = torch.stack([phonon_dos(atoms) for atoms in frames])
    return {PHONON_DOS: spectra, PHONON_DOS_NORMALIZED: spectra / spectra.max(dim=1, keepdim=True).values}


def phonon_info(names: tuple[str, ...] = PHONON_TARGETS, size: int = AXIS.size) -> DatasetInfo:
    """As the options file describes them: channels have numbers, but no frequencies."""
    return DatasetInfo("angstrom", ELEMENTS, {name: scalar_info(name, size, "") for name in names})


def phonon_dataset(
    frames: list[Atoms], names: tuple[str, ...] = PHONON_TARGETS, rows: dict[str, torch.Tensor] | None = None
) -> Dataset:
    rows = phonon_rows(frames) if rows is None else rows
    columns: dict[str, list] = {"system": systems_to_torch(frames, dtype=torch.float64)}
    for name in names:
        columns[name] = []
        for index, row in enumerate(rows[name]):
            samples = Labels(["system"], torch.tensor([[index]], dtype=torch.int32))
            block = TensorBlock(row.unsqueeze(0), samples, [], fixed_axis_to_labels(AXIS))
            columns[name].append(TensorMap(Labels.single(), [block]))
    return Dataset.from_dict(columns)


def make_phonon_model(names: tuple[str, ...], axis: FixedAxis = AXIS, **options: Any) -> Any:
    """A small model with random weights, in float64."""
    torch.manual_seed(0)
    hypers = get_default_hypers("dos_baseline")["model"]
    hypers.update({"network": "two_layer", "energy_embeddings": False, "cutoff": 3.0, "width": 8})
    hypers.update({"fixed_axes": {name: axis.to_dict() for name in names}, **options})
    model = import_architecture("dos_baseline").__model__(hypers, phonon_info(names, axis.size))
    with torch.no_grad():  # an untrained one predicts zero
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model.to(torch.float64).eval()


def save_phonon_model(path: Path, names: tuple[str, ...], axis: FixedAxis = AXIS, **options: Any) -> Path:
    """The same, exported."""
    make_phonon_model(names, axis, **options).export().save(path)
    return path
