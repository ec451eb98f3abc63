"""The network that is trained as a baseline; the complete report is in tests/cli/test_evaluate.py."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms

import electrain.evaluation.network_baseline as network_baseline
from electrain.data.reading import Entry, LabelledStructure
from electrain.evaluation import CompositionBaseline
from electrain.evaluation.aligned import align
from electrain.evaluation.network_baseline import NetworkBaseline, TrainingStructures, num_epochs
from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES
from electrain.spectra import EnergyAxis, EnergyGrid

AXIS = EnergyAxis(EnergyGrid(-9.0, 0.1, 140), 20, 0.3)


def molecule(distance):
    return Atoms("HF", positions=[[0, 0, 0], [distance, 0, 0]])


def splitting(distance):
    """Half the distance of two peaks, in eV: 0 from 2 Angstrom on."""
    return max(0.0, 3.0 * (2.0 - distance))


def structures(distances):
    """Molecules with a peak below and one above zero, and between them the gap; no gap where they touch."""
    energies = AXIS.target_grid.energies()
    targets, gaps = [], []
    for distance in distances:
        half = splitting(distance)
        peaks = sum(torch.exp(-0.5 * ((energies - level) / AXIS.smearing) ** 2) for level in (-half, half))
        targets.append(2.0 * peaks)
        gaps.append(2.0 * half)
    return TrainingStructures([molecule(distance) for distance in distances], torch.stack(targets), torch.tensor(gaps))


@pytest.fixture(scope="module")
def training():
    return structures(np.linspace(1.0, 2.6, 48).tolist())


@pytest.fixture(scope="module")
def trained(training):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network_baseline, "MIN_STEPS", 200)
        return NetworkBaseline(training, AXIS, advance=lambda _: None)


def full(target):
    return torch.cat([torch.zeros(AXIS.max_shift), target])


def test_it_learns_what_constants_cannot(training, trained):
    """Held-out distances: the error of spectra, gaps and Fermi levels, beside constants per element."""
    others = structures([1.13, 1.31, 1.52, 1.77, 2.31, 2.47])
    counts = torch.ones(1, 2)
    constants = CompositionBaseline().fit(
        counts.expand(48, 2), training.targets, torch.ones(training.targets.shape, dtype=torch.bool), 20, 0.1
    )
    constant = constants.predict(counts)[0]
    mine, theirs = [], []
    for atoms, target, gap in zip(*others, strict=True):
        result, energy = trained.predict(atoms)
        assert energy is None and result.atoms is atoms
        aligned = align(torch.from_numpy(result.density_of_states), full(target), AXIS)
        mine.append(aligned.per_electron)
        theirs.append(align(constant, full(target), AXIS).per_electron)
        assert result.band_gap == pytest.approx(float(gap), abs=0.5) and (result.band_gap == 0) == (gap == 0)
        assert result.fermi_level == pytest.approx(aligned.fermi_level, abs=0.3)
    assert np.mean(mine) < 0.4 * np.mean(theirs)


def test_the_same_seed_gives_the_same_network(training, monkeypatch):
    monkeypatch.setattr(network_baseline, "NUM_EPOCHS", 1)
    monkeypatch.setattr(network_baseline, "MIN_STEPS", 1)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    seen = []
    found = [NetworkBaseline(training, AXIS, seed=seed, advance=seen.append) for seed in (0, 0, 1)]
    first, again, other = (item.predict(molecule(1.2))[0] for item in found)
    np.testing.assert_array_equal(first.density_of_states, again.density_of_states)
    assert (first.band_gap, first.fermi_level) == (again.band_gap, again.fermi_level)
    assert abs(first.fermi_level - other.fermi_level) > 1e-3
    assert (first.density_of_states != other.density_of_states).any()
    assert seen == 3 * [16, 16, 16]  # structures, for the progress bar
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)  # the random numbers of others go on


def test_structures_of_all_kinds(trained):
    """Crystals and single atoms can be predicted; other elements cannot."""
    single = trained.predict(Atoms("H"))[0]
    far = trained.predict(Atoms("H2", positions=[[0, 0, 0], [20, 0, 0]]))[0]
    np.testing.assert_allclose(far.density_of_states, 2 * single.density_of_states, rtol=1e-5)
    crystal = molecule(1.5)  # of molecules, as it has learned them
    crystal.set_cell([6.0, 6.5, 7.0])
    crystal.pbc = True
    one, eight = (trained.predict(atoms)[0] for atoms in (crystal, crystal.repeat(2)))
    np.testing.assert_allclose(eight.density_of_states, 8 * one.density_of_states, rtol=1e-4, atol=1e-4)
    assert eight.band_gap == pytest.approx(one.band_gap, abs=1e-4)
    assert trained.predict(Atoms("HeF"))[0] is None and trained.predict(Atoms("U"))[0] is None


def test_unknown_gaps_and_channels(training, monkeypatch):
    """NaN is not learned from: neither as a gap, nor above the trusted range."""
    monkeypatch.setattr(network_baseline, "MIN_STEPS", 1)
    monkeypatch.setattr(network_baseline, "NUM_EPOCHS", 2)
    targets = training.targets.clone()
    targets[::2, 80:] = math.nan
    for gaps in (torch.full((48,), math.nan), torch.where(torch.arange(48) < 20, math.nan, training.gaps)):
        partial = training._replace(targets=targets, gaps=gaps)
        result = NetworkBaseline(partial, AXIS, advance=lambda _: None).predict(molecule(1.5))[0]
        assert np.isfinite(result.density_of_states).all() and np.isfinite([result.band_gap, result.fermi_level]).all()


def test_the_loss_by_hand():
    torch.manual_seed(0)
    size, step = AXIS.target_grid.size, AXIS.grid.step
    predicted = network_baseline.TwoLayerPrediction(
        torch.rand(4, AXIS.grid.size).double(), *torch.randn(3, 4).double().abs()
    )
    targets, gaps = 5 * torch.rand(4, size).double(), torch.tensor([math.nan, 0.0, 1.5, 0.02]).double()
    targets[0, 90:] = math.nan
    expected, levels, metals, sizes = 0.0, [], [], []
    for row, target, gap, *numbers in zip(predicted.spectra, targets, gaps, *predicted[1:], strict=True):
        count = int(target.isfinite().sum())
        known, electrons = target[:count], step * target[:count].sum()
        costs = [((row[s : s + count] - known) ** 2).sum() + (row[:s] ** 2).sum() for s in range(AXIS.max_shift + 1)]
        shift = int(torch.stack(costs).argmin())
        above = row[shift + count - 1 :].diff()
        excess = step * (row[shift : shift + count] - known).cumsum(0)
        total = step * costs[shift] + 1e-4 * (above**2).sum() / step + 2e-4 * step * (excess**2).sum()
        expected += total / electrons / 4

        def smooth(error):
            return 0.5 * error**2 if abs(error) < 1 else abs(error) - 0.5

        logit, width, level = numbers
        levels.append(smooth(level - step * (shift - 10)))
        if gap.isfinite():
            probability = torch.sigmoid(logit)
            metals.append(-torch.log(probability if gap > 0.05 else 1 - probability))
            sizes.append(smooth(width - gap) if gap > 0.05 else 0.0)
    expected += 0.1 * (np.mean(levels) + np.mean(metals) + np.mean(sizes))
    found = network_baseline._loss(predicted, targets, gaps, AXIS)
    assert float(found) == pytest.approx(float(expected), rel=1e-6)


class Part:
    """A part of a data set in memory."""

    axis, path = AXIS, Path("data/train.zip")

    def __init__(self, training):
        self._training = training

    def __len__(self):
        return len(self._training.atoms)

    def structures(self):
        for atoms, target, gap in zip(*self._training, strict=True):
            values = {DENSITY_OF_STATES: full(target).double().numpy(), BAND_GAP: gap.double().numpy()}
            yield LabelledStructure(Entry("", "HF", "all", 8.0), atoms, values)


def test_what_is_learned_from(training, monkeypatch):
    """Structures with electrons in the trusted range, at most so many, spread over the file."""
    targets = training.targets.clone()
    targets[0], targets[-1] = math.nan, 0.0
    found = TrainingStructures.read(Part(training._replace(targets=targets)))
    torch.testing.assert_close(found.targets, targets[1:-1].float())
    torch.testing.assert_close(found.gaps, training.gaps[1:-1])
    assert found.atoms == training.atoms[1:-1]
    monkeypatch.setattr(network_baseline, "MAX_STRUCTURES", 3)
    assert TrainingStructures.read(Part(training)).atoms == [training.atoms[index] for index in (0, 23, 47)]
    with pytest.raises(ValueError, match=r"expected densities of states .*, found none in data/train\.zip"):
        TrainingStructures.read(Part(training._replace(targets=0 * targets)))


def test_small_training_sets_are_seen_more_often():
    assert num_epochs(5000) == num_epochs(1741) == network_baseline.NUM_EPOCHS
    assert num_epochs(16) == num_epochs(5) == network_baseline.MIN_STEPS
    assert num_epochs(33) * 3 == pytest.approx(network_baseline.MIN_STEPS, abs=3)
