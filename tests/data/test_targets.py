"""Targets against slow and obvious references."""

import json
import math

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import fcc111

from electrain.data import choose_axis, dos_target, make_sample, make_targets, read_extended_xyz, to_system
from electrain.data.axis import AxisSettings, SettingsError, grid_between
from electrain.data.targets import band_gap
from electrain.interface.axis_labels import labels_to_grid
from electrain.interface.manifests import axis_from_manifest, axis_to_manifest
from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES, ENERGY, FERMI_LEVEL, FORCES, STRESS
from electrain.nn.spectrum_convolution import SpectrumConvolution
from electrain.spectra.axis import EnergyAxis
from electrain.spectra.grid import EnergyGrid


def axis_of(*calculations, step=0.05, smearing=0.3, max_shift=10.0):
    return choose_axis(calculations, step=step, smearing=smearing, max_shift=max_shift)


def sample_of(calculation, axis):
    return make_sample(calculation, step=axis.grid.step, smearing=axis.smearing)


def slow_dos(calculation, axis):
    """Sum one Gaussian after the other."""
    energies = axis.grid.start + axis.grid.step * np.arange(axis.grid.size)
    total = np.zeros(axis.grid.size)
    highest = min(max(bands) for spin in calculation.eigenvalues for bands in spin)
    for spin in calculation.eigenvalues:
        for weight, bands in zip(calculation.weights, spin, strict=True):
            for energy in bands:
                distance = (energies - (energy - calculation.zero())) / axis.smearing
                total += weight * np.exp(-0.5 * distance**2) / (math.sqrt(2 * math.pi) * axis.smearing)
    total[: axis.max_shift] = 0
    total[energies > highest - calculation.zero() - 3 * axis.smearing + 1e-9] = np.nan
    return total


@pytest.mark.parametrize("num_spins", [1, 2])
@pytest.mark.parametrize(("step", "smearing"), [(0.05, 0.3), (0.02, 0.6)])
def test_dos_matches_a_double_loop(make_calculation, num_spins, step, smearing):
    single = make_calculation(seed=3)
    calculation = single
    if num_spins == 2:
        both = np.concatenate([single.eigenvalues, single.eigenvalues + 0.07])
        calculation = make_calculation(eigenvalues=both, weights=single.weights / 2)
    axis = axis_of(calculation, step=step, smearing=smearing)
    expected = slow_dos(calculation, axis)
    # Outside of eight smearings a Gaussian is left out.
    np.testing.assert_allclose(dos_target(calculation, axis).numpy(), expected, atol=1e-12)


def test_the_integral_up_to_the_fermi_level_counts_electrons(make_calculation):
    calculation = make_calculation()
    axis = axis_of(calculation, smearing=0.1)
    below = axis.grid.energies() <= 0
    integral = axis.grid.step * dos_target(calculation, axis)[below].sum()
    assert float(integral) == pytest.approx(8.0, abs=1e-6)


@pytest.mark.parametrize("num_spins", [1, 2])
@pytest.mark.parametrize("level", [-0.9, 0.3])
def test_the_level_of_an_insulator_is_the_middle_of_its_gap(make_calculation, level, num_spins):
    """Wherever the code put it: near an edge the broadened density of states would lack electrons."""
    single = make_calculation()
    eigenvalues = np.repeat(single.eigenvalues, num_spins, axis=0)
    eigenvalues[0, 0, 3] += 0.2  # the highest filled state, of one spin
    calculation = make_calculation(eigenvalues=eigenvalues, weights=single.weights / num_spins, fermi_level=level)
    filled, empty = np.sort(eigenvalues, axis=2)[..., :4].max(), np.sort(eigenvalues, axis=2)[..., 4:].min()
    assert calculation.zero() == pytest.approx(0.5 * (filled + empty), abs=1e-12)
    axis = axis_of(calculation, smearing=0.3)
    below = axis.grid.energies() <= 0
    assert axis.grid.step * float(dos_target(calculation, axis)[below].sum()) == pytest.approx(8.0, abs=0.01)


def test_the_level_of_a_metal_is_that_of_the_code(make_calculation):
    eigenvalues, weights = make_calculation().eigenvalues.copy(), make_calculation().weights
    eigenvalues[0, 1] += 4.0  # bands overlap
    metal = make_calculation(eigenvalues=eigenvalues, fermi_level=1.3, num_electrons=None)
    electrons = float(weights @ (eigenvalues[0] < 1.3).sum(axis=1))
    assert make_calculation(eigenvalues=eigenvalues, fermi_level=1.3, num_electrons=electrons).zero() == 1.3
    assert metal.zero() == 1.3
    # half a band is filled; no band is empty
    assert make_calculation(eigenvalues=make_calculation().eigenvalues[..., :4], fermi_level=0.2).zero() == 0.2


def test_a_rigid_shift_of_everything_changes_nothing(make_calculation):
    calculation = make_calculation()
    shifted = make_calculation(eigenvalues=calculation.eigenvalues + 4.2, fermi_level=4.2)
    axis = axis_of(calculation)
    torch.testing.assert_close(dos_target(shifted, axis), dos_target(calculation, axis), equal_nan=True)


def test_the_axis_leaves_room_on_both_sides(make_calculation):
    calculations = [make_calculation(seed=seed) for seed in range(3)]
    axis = axis_of(*calculations, step=0.02)
    lowest = min(calculation.eigenvalues.min() for calculation in calculations)
    highest = max(calculation.eigenvalues[..., -1].min() for calculation in calculations) - 0.9
    assert axis.max_shift == 500
    assert axis.grid.size == axis.target_grid.size + 500
    assert axis.grid.start == pytest.approx(axis.target_grid.start - 10.0)
    assert lowest - 1.5 - 0.02 < axis.target_grid.start <= lowest - 1.5
    assert highest + 1.5 <= axis.target_grid.stop < highest + 1.5 + 0.02
    assert f"{axis.grid.start!r}" == f"{axis.grid.start:.2f}".rstrip("0")  # readable in options.yaml


def test_a_short_axis_grows_until_all_heads_can_read_it(make_calculation):
    coarse, fine = axis_of(make_calculation(), step=0.1), axis_of(make_calculation(), step=0.02)
    assert coarse.grid.size == SpectrumConvolution.min_channels()
    assert coarse.grid.start == pytest.approx(fine.grid.start, abs=0.2)
    assert dos_target(make_calculation(), coarse).isnan()[-1]


def test_a_wide_smearing_gets_more_room(make_calculation):
    calculation = make_calculation()
    axis = axis_of(calculation, smearing=0.6)
    assert axis.target_grid.start == pytest.approx(calculation.eigenvalues.min() - 3.0, abs=0.05)


def test_no_shift_at_all(make_calculation):
    axis = axis_of(make_calculation(), max_shift=0.0)
    assert axis.grid == axis.target_grid


def test_states_below_the_axis_are_refused(make_calculation):
    calculation = make_calculation()
    axis = axis_of(calculation)
    deeper = calculation.eigenvalues.copy()
    deeper[0, 0, 0] -= 5.0
    message = r"made up, frame 0: expected no state below -[78]\.\d\d eV .* got one at -1[23]\.\d\d eV"
    with pytest.raises(ValueError, match=message):
        dos_target(make_calculation(eigenvalues=deeper), axis)


def test_too_few_bands_to_trust_anything_are_refused(make_calculation):
    calculation = make_calculation(eigenvalues=np.array([[[-1.0]]]), weights=np.array([2.0]), num_electrons=None)
    message = "expected enough bands to trust .* lowest state at -1.00 eV, got 1 that can be trusted up to -1.90"
    with pytest.raises(ValueError, match=message):
        axis_of(calculation)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step": 0.0}, "expected a positive step in eV, got 0"),
        ({"smearing": -0.3}, "expected a positive smearing in eV, got -0.3"),
        ({"smearing": math.nan}, "expected a positive smearing in eV, got nan"),
        ({"max_shift": -1.0}, "expected a largest shift of at least 0 eV, got -1"),
        ({"step": 0.5}, "expected a step of at most the smearing, 0.3 eV"),
        ({"step": 0.12345678}, "must be multiples of 1e-6 eV"),
    ],
)
def test_settings_that_make_no_sense(make_calculation, settings, message):
    with pytest.raises(ValueError, match=message):
        axis_of(make_calculation(), **settings)


def test_an_axis_for_nothing():
    with pytest.raises(ValueError, match="expected at least one calculation"):
        axis_of()


def test_band_gap(make_calculation):
    states = make_calculation().eigenvalues
    assert band_gap(make_calculation(values={BAND_GAP: 0.3})) == 0.3
    assert band_gap(make_calculation()) == pytest.approx(states[..., 4].min() - states[..., 3].max())
    assert math.isnan(band_gap(make_calculation(num_electrons=None)))
    assert math.isnan(band_gap(make_calculation(eigenvalues=states[..., :4])))  # no empty band


def test_spinors_hold_one_electron_each(make_calculation):
    single = make_calculation()
    doubled = np.repeat(single.eigenvalues, 2, axis=2)
    spinors = make_calculation(eigenvalues=doubled, weights=single.weights / 2, noncollinear=True)
    assert band_gap(spinors) == pytest.approx(band_gap(single))
    axis = axis_of(single)
    torch.testing.assert_close(dos_target(spinors, axis), dos_target(single, axis), equal_nan=True)


def test_electronic_targets_carry_their_axis(make_calculation):
    calculation = make_calculation(values={BAND_GAP: 1.25})
    axis = axis_of(calculation)
    targets = make_targets(sample_of(calculation, axis), axis, [DENSITY_OF_STATES, BAND_GAP, FERMI_LEVEL])
    assert set(targets) == {DENSITY_OF_STATES, BAND_GAP, FERMI_LEVEL}
    block = targets[DENSITY_OF_STATES].block()
    assert labels_to_grid(block.properties).is_close(axis.grid)
    torch.testing.assert_close(block.values[0], dos_target(calculation, axis), equal_nan=True)
    assert targets[BAND_GAP].block().values.tolist() == [[1.25]]
    assert targets[FERMI_LEVEL].block().values.tolist() == [[0.0]]
    assert all(target.block().values.dtype == torch.float64 for target in targets.values())


def test_gradients_of_the_energy(make_calculation):
    forces = np.arange(6.0).reshape(2, 3)
    stress = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 5.0], [3.0, 5.0, 6.0]])
    calculation = make_calculation(values={ENERGY: -7.5, FORCES: forces, STRESS: stress})
    sample = make_sample(calculation, step=0.05, smearing=0.3)
    block = make_targets(sample, axis_of(calculation), [ENERGY, FORCES, STRESS])[ENERGY].block()
    assert block.values.tolist() == [[-7.5]]
    gradient = block.gradient("positions")
    np.testing.assert_array_equal(gradient.values[..., 0], -forces)
    assert gradient.samples.values.tolist() == [[0, 0], [0, 1]]
    np.testing.assert_allclose(block.gradient("strain").values[0, ..., 0], stress * calculation.atoms.cell.volume)
    assert make_targets(sample, axis_of(calculation), [ENERGY])[ENERGY].block().gradients_list() == []


def test_what_is_unknown_is_nan(make_calculation):
    calculation = make_calculation()
    sample = make_sample(calculation, step=0.05, smearing=0.3)
    block = make_targets(sample, axis_of(calculation), [ENERGY, FORCES, STRESS])[ENERGY].block()
    assert block.gradient("positions").values.shape == (2, 3, 1)
    assert block.gradient("strain").values.shape == (1, 3, 3, 1)
    for values in (block.values, block.gradient("positions").values, block.gradient("strain").values):
        assert values.isnan().all()


def test_the_stress_of_a_molecule_means_nothing(make_calculation):
    molecule = Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]])
    sample = make_sample(make_calculation(atoms=molecule, values={STRESS: np.eye(3)}), step=0.05, smearing=0.3)
    assert np.isnan(sample.values[STRESS]).all()


def test_cell_vectors_of_open_directions_are_dropped():
    slab = fcc111("Al", (1, 1, 2), vacuum=4.5)
    slab.set_cell(slab.cell[:] + np.diag([0, 0, 20.0]))
    system = to_system(slab)  # metatomic would warn
    assert system.positions.dtype == torch.float64
    assert system.pbc.tolist() == [True, True, False]
    assert system.cell[2].tolist() == [0, 0, 0]
    np.testing.assert_allclose(system.cell[:2], slab.cell[:2])


def test_target_grid():
    axis = EnergyAxis(EnergyGrid(-20.0, 0.5, 100), max_shift=20, smearing=0.3)
    assert axis.target_grid == EnergyGrid(-10.0, 0.5, 80)


@pytest.mark.parametrize(("low", "high"), [(-30.0, 20.0), (-9.5, 3.0), (-20.0, 0.5)])
def test_a_chosen_grid_shows_the_same_spectrum(make_calculation, low, high):
    """A grid that ends before, inside of, or after the trusted range."""
    calculation = make_calculation()
    settings = AxisSettings(step=0.05, smearing=0.3, max_shift=1.0, targets=grid_between(low, high, 0.05))
    axis = settings.axis(-8.0, 20.0)
    assert axis.target_grid.start == pytest.approx(low)
    assert axis.grid.size == max(axis.max_shift + round((high - low) / 0.05) + 1, SpectrumConvolution.min_channels())
    if low + 1.5 > calculation.eigenvalues.min():
        with pytest.raises(ValueError, match=r"made up, frame 0: expected no state below -8\.00 eV"):
            dos_target(calculation, axis)
        return
    np.testing.assert_allclose(dos_target(calculation, axis).numpy(), slow_dos(calculation, axis), atol=1e-12)


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (-20.01, 10.0, "ends are multiples of the step, 0.05 eV, got -20.01 to 10"),
        (5.0, -5.0, "from a lower to a higher energy in eV, got 5 to -5"),
        (-math.inf, 5.0, "from a lower to a higher energy in eV, got -inf to 5"),
    ],
)
def test_grids_that_make_no_sense(low, high, message):
    with pytest.raises(ValueError, match=message):
        grid_between(low, high, 0.05)


def test_an_axis_that_does_not_start_at_a_multiple_of_its_step(make_calculation):
    """As that of PET-MAD-DOS, -159.6456 eV in steps of 0.05 eV."""
    axis, calculation = EnergyAxis(EnergyGrid(-20.0144, 0.05, 1000), max_shift=20, smearing=0.3), make_calculation()
    np.testing.assert_allclose(dos_target(calculation, axis).numpy(), slow_dos(calculation, axis), atol=1e-12)


def test_an_axis_with_other_channels_than_the_sample(make_calculation):
    sample = make_sample(make_calculation(), step=0.05, smearing=0.3)
    for grid in (EnergyGrid(-20.01, 0.05, 1000), EnergyGrid(-20.0, 0.04, 1000)):
        axis = EnergyAxis(grid, max_shift=20, smearing=0.3)
        with pytest.raises(ValueError, match=r"expected an energy axis with the channels of the spectrum, .* got -20"):
            sample.on(axis)


def test_the_axis_of_a_manifest():
    """As manifests of all versions hold it."""
    manifest = {
        "energy_grid": {"start": -20.0, "step": 0.05, "size": 1000, "unit": "eV"},
        "max_shift": {"channels": 200, "eV": 10.0},
        "smearing": {"value": 0.3, "unit": "eV", "shape": "gaussian"},
        "reference": "E = 0 is the DFT Fermi level of each structure, the middle of a gap",
    }
    axis = axis_from_manifest(manifest)
    assert axis == EnergyAxis(EnergyGrid(-20.0, 0.05, 1000), max_shift=200, smearing=0.3)
    assert json.loads(json.dumps(axis_to_manifest(axis))) == manifest


def test_an_axis_that_is_too_long_is_refused_before_it_is_made(make_frame, write_frames):
    """By the functions behind the command, too: for a whole set, for its options alone, and for one structure."""
    with pytest.raises(SettingsError, match="at most 20,000 channels, got 13,000,000"):
        AxisSettings(step=1e-6, smearing=0.3, max_shift=10.0)
    settings = {"step": 0.05, "smearing": 0.3, "max_shift": 10.0}
    with pytest.raises(
        SettingsError, match=r"got 40,200 \(2010 eV, including the largest shift, in steps of 0.05 eV\)"
    ):
        AxisSettings(**settings, targets=grid_between(-1000.0, 1000.0, 0.05))
    with pytest.raises(ValueError, match="at most 20,000 channels"):
        AxisSettings(**settings).axis(-1000.0, 10.0)
    published = AxisSettings(**settings, targets=grid_between(-149.65, 80.6, 0.05)).axis(-100.0, 10.0)
    assert published.grid.size == 4806
    levels = [[-1e9, -0.5, 0.5], [-1e9, -0.6, 0.6]]
    path = write_frames([make_frame(eigenvalues=levels, kweights=[1.0, 1.0], n_electrons=4.0)])
    (calculation,) = read_extended_xyz(path)
    with pytest.raises(ValueError, match="at most 20,000 channels, got 19,999,999,9"):
        make_sample(calculation, step=0.05, smearing=0.3)
