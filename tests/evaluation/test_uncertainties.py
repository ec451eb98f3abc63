"""Numbers that say whether uncertainties are right."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import ModelCapabilities, ModelOutput, systems_to_torch
from metatrain.utils.data.writers import DiskDatasetWriter

from electrain.evaluation.calibration import SPECTRUM, Calibration, held_out_calibration
from electrain.interface.axis_labels import grid_to_labels
from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES, FERMI_LEVEL, uncertainty_name
from electrain.spectra.grid import EnergyGrid

GRID = EnergyGrid(-5.0, 0.1, 120)
MAX_SHIFT = 20
NAMES = ("energy", DENSITY_OF_STATES, BAND_GAP, FERMI_LEVEL)


def test_gaussian_errors():
    random = np.random.default_rng(0)
    sizes = np.exp(random.normal(size=20000))
    values = Calibration(sizes * random.normal(size=20000), sizes, "eV")
    assert values.within(1) == pytest.approx(0.683, abs=0.01)
    assert values.within(2) == pytest.approx(0.954, abs=0.01)
    assert values.ratio == pytest.approx(1.0, abs=0.02)
    assert values.correlation > 0.5
    assert values._replace(uncertainties=3 * sizes).ratio == pytest.approx(1 / 3, abs=0.01)


def per_system(row, properties):
    samples = Labels(["system"], torch.tensor([[0]], dtype=torch.int32))
    return TensorMap(Labels.single(), [TensorBlock(torch.as_tensor(row).reshape(1, -1), samples, [], properties)])


PROPERTIES = {
    "energy": Labels.range("energy", 1),
    DENSITY_OF_STATES: grid_to_labels(GRID),
    BAND_GAP: Labels.range("bandgap", 1),
    FERMI_LEVEL: Labels.range("efermi", 1),
}


def spectrum(center):
    return torch.exp(-0.5 * (GRID.energies() - center) ** 2)


class Model:
    """As an exported model, with a prediction for each number of atoms."""

    def __init__(self, predictions):
        self.predictions = predictions
        axis = {"step": GRID.step, "max_shift": MAX_SHIFT}
        self._metadata = SimpleNamespace(extra={"energy_grid": json.dumps(axis)})

    def capabilities(self):
        outputs = {name: ModelOutput() for target in NAMES for name in (target, uncertainty_name(target))}
        return ModelCapabilities(outputs=outputs, dtype="float64", supported_devices=["cpu"])

    def metadata(self):
        return self._metadata

    def requested_neighbor_lists(self):
        return []

    def __call__(self, systems, options, check_consistency):
        (system,) = systems
        results = {}
        for name, (value, spread) in self.predictions[len(system)].items():
            results[name] = per_system(value, PROPERTIES[name])
            results[uncertainty_name(name)] = per_system(spread, PROPERTIES[name])
        assert set(results) == set(options.outputs)
        return results


def write(path, frames, rows):
    writer = DiskDatasetWriter(str(path))
    for system, row in zip(systems_to_torch(frames, dtype=torch.float64), rows, strict=True):
        writer.write([system], {name: per_system(value, PROPERTIES[name]) for name, value in row.items()})
    writer.finish()


def number(value):
    return torch.tensor([value], dtype=torch.float64)


def test_errors_of_a_data_set(tmp_path):
    """One structure that is known in full; a metal predicted as such, without energy and density of states."""
    target = spectrum(0.0)
    target[:MAX_SHIFT] = 0.0
    target[100:] = torch.nan
    nothing = torch.full_like(target, torch.nan)
    rows = [
        {"energy": number(3.0), DENSITY_OF_STATES: target, BAND_GAP: number(1.0), FERMI_LEVEL: number(0.0)},
        {"energy": number(torch.nan), DENSITY_OF_STATES: nothing, BAND_GAP: number(0.0), FERMI_LEVEL: number(0.0)},
    ]
    write(tmp_path / "test.zip", [molecule("H2O"), bulk("Si")], rows)
    # The prediction is the target, 15 channels lower, and 0.01 too high.
    prediction = spectrum(-1.5) + 0.01
    spreads = 0.02 * torch.ones(GRID.size, dtype=torch.float64)
    model = Model(
        {
            3: {
                "energy": (number(3.5), number(0.25)),
                DENSITY_OF_STATES: (prediction, spreads),
                BAND_GAP: (number(0.4), number(0.2)),
                FERMI_LEVEL: (number(-1.2), number(0.1)),
            },
            2: {
                "energy": (number(1.0), number(1.0)),
                DENSITY_OF_STATES: (prediction, spreads),
                BAND_GAP: (number(0.0), number(0.2)),
                FERMI_LEVEL: (number(-1.0), number(0.1)),
            },
        }
    )
    found = held_out_calibration(model, tmp_path / "test.zip")
    np.testing.assert_allclose(found["energy"].errors, [0.5])
    np.testing.assert_allclose(found["energy"].uncertainties, [0.25])
    np.testing.assert_allclose(found[BAND_GAP].errors, [-0.6])
    np.testing.assert_allclose(found[FERMI_LEVEL].errors, [0.3])
    assert len(found[DENSITY_OF_STATES].errors) == 100 - 15
    np.testing.assert_allclose(found[DENSITY_OF_STATES].errors[10:], 0.01, atol=1e-4)
    np.testing.assert_allclose(found[SPECTRUM].uncertainties, [0.02])
    assert found[SPECTRUM].errors.shape == (1,) and found[SPECTRUM].unit == "states/eV"


def test_a_model_without_uncertainties(tmp_path):
    model = SimpleNamespace(capabilities=lambda: ModelCapabilities(outputs={"energy": ModelOutput()}))
    with pytest.raises(ValueError, match="expected a model with uncertainties, made with metatrain's `llpr`"):
        held_out_calibration(model, tmp_path / "test.zip")
