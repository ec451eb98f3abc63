"""Constants per element and means; the complete report is in tests/cli/test_evaluate.py."""

import math

import numpy as np
import pytest
import torch
from ase import Atoms

from electrain.data import EnergyAxis
from electrain.data.reading import Entry
from electrain.evaluation.baselines import Baseline, TrainingSet, for_same_structures
from electrain.evaluation.structure_errors import StructureErrors
from electrain.evaluation.summary import ErrorTable
from electrain.spectra import EnergyGrid

AXIS = EnergyAxis(EnergyGrid(-5.0, 0.1, 120), 20, 0.3)
FORMULAS = ["HF", "H2O", "H3F", "O2", "HFO", "F2O"]


def training_set(energies, gaps, formulas=FORMULAS):
    counts = np.array([np.bincount(Atoms(formula).numbers, minlength=119) for formula in formulas], dtype=np.int16)
    spectra = torch.full((len(formulas), AXIS.grid.size), math.nan)
    window = torch.exp(-0.5 * AXIS.target_grid.energies() ** 2).float()
    spectra[:, AXIS.max_shift :] = torch.from_numpy(counts.sum(axis=1))[:, None] * window
    spectra[-1] = math.nan  # nothing is trusted
    return TrainingSet(counts, np.array(energies), np.array(gaps), np.arange(len(formulas)), spectra)


def fractions(formula, elements="HOF"):
    symbols = Atoms(formula).get_chemical_symbols()
    return [symbols.count(element) / len(symbols) for element in elements]


def test_constants_are_those_of_the_normal_equations():
    random = np.random.default_rng(0)
    energies, gaps = random.normal(size=6), np.abs(random.normal(size=6))
    gaps[2] = math.nan
    baseline = Baseline(training_set(energies, gaps), AXIS, per_element=True)
    known = [0, 1, 3, 4, 5]
    for formula in ("OHF", "H5F2O3", "O7"):
        result, energy = baseline.predict(Atoms(formula))
        for value, rows, numbers in (
            (energy.energy / len(Atoms(formula)), range(6), energies),
            (result.band_gap, known, gaps),
        ):
            matrix = np.array([fractions(FORMULAS[row]) for row in rows])
            constants = np.linalg.solve(matrix.T @ matrix, matrix.T @ numbers[list(rows)])
            assert value == pytest.approx(
                max(0.0, fractions(formula) @ constants) if numbers is gaps else fractions(formula) @ constants
            )
        assert not energy.forces.any() and energy.forces.shape == (len(Atoms(formula)), 3)
        assert not energy.stress.any() and energy.stress.shape == (3, 3)


def test_training_mean():
    energies, gaps = [1.0, 2.0, 3.0, 4.0, 5.0, 9.0], [0.0, 1.0, math.nan, 3.0, 4.0, 2.0]
    result, energy = Baseline(training_set(energies, gaps), AXIS, per_element=False).predict(Atoms("XeKr"))
    assert energy.energy == pytest.approx(2 * 4.0) and result.band_gap == pytest.approx(2.0)
    # All spectra are those of their numbers of atoms, so that the fit is exact, with one Fermi level for all.
    expected = 2 * np.exp(-0.5 * AXIS.grid.energies().numpy() ** 2)
    shift = round(result.fermi_level / AXIS.grid.step)
    inner = slice(20 + shift, 100 + shift)
    np.testing.assert_allclose(result.density_of_states[inner], expected[20:100], atol=1e-4)


def test_unknown_elements_and_gaps_below_zero():
    baseline = Baseline(training_set([1.0] * 6, [0.0, 0.0, 0.0, 3.0, 0.0, 0.0]), AXIS, per_element=True)
    result, energy = baseline.predict(Atoms("HXe"))
    assert result is None and math.isnan(energy.energy) and not energy.forces.any()
    assert baseline.predict(Atoms("H"))[0].band_gap == 0.0


def test_nothing_known():
    training = training_set([math.nan] * 6, [math.nan] * 6)
    result, energy = Baseline(training, AXIS, per_element=True).predict(Atoms("H2O"))
    assert math.isnan(energy.energy) and math.isnan(result.band_gap) and result.fermi_level is not None
    without = training._replace(chosen=training.chosen[:0], spectra=training.spectra[:0])
    assert Baseline(without, AXIS, per_element=False).predict(Atoms("H2O"))[0] is None


def test_a_baseline_is_compared_on_the_structures_of_the_model():
    entries = [Entry(name, "H", "all", 1.0) for name in "ab"]
    model = ErrorTable(entries, np.full((2, len(StructureErrors._fields)), math.nan), ["", "the model does not know H"])
    rows = np.array([StructureErrors(1.0, predicted_energy=2.0)] * 2)
    table = for_same_structures(ErrorTable(entries, rows, ["", ""]), model)
    np.testing.assert_array_equal(table.column("predicted_energy"), [2.0, math.nan])
    assert table.column("num_atoms").tolist() == [1.0, 1.0] and table.reasons == model.reasons
