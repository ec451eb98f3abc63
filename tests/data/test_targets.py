"""Targets against slow and obvious references."""

import math

import numpy as np
import pytest
import torch
from ase.build import fcc111

from electrain.axis_labels import labels_to_grid
from electrain.data import choose_axis, dos_target, electronic_targets, energy_target, to_system
from electrain.data.targets import SpectrumAxis, band_gap
from electrain.quantities import BAND_GAP, DENSITY_OF_STATES, FERMI_LEVEL, MIN_CHANNELS
from electrain.spectra.grid import EnergyGrid


def axis_of(*calculations, step=0.05, smearing=0.3, max_shift=10.0):
    return choose_axis(calculations, step=step, smearing=smearing, max_shift=max_shift)


def slow_dos(calculation, axis):
    """Sum one Gaussian after the other."""
    energies = axis.grid.start + axis.grid.step * np.arange(axis.grid.size)
    total = np.zeros(axis.grid.size)
    highest = min(max(bands) for spin in calculation.eigenvalues for bands in spin)
    for spin in calculation.eigenvalues:
        for weight, bands in zip(calculation.weights, spin, strict=True):
            for energy in bands:
                distance = (energies - (energy - calculation.fermi_level)) / axis.smearing
                total += weight * np.exp(-0.5 * distance**2) / (math.sqrt(2 * math.pi) * axis.smearing)
    total[: axis.max_shift] = 0
    total[energies > highest - calculation.fermi_level - 3 * axis.smearing + 1e-9] = np.nan
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
    assert coarse.grid.size == MIN_CHANNELS
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
    assert band_gap(make_calculation(band_gap=0.3)) == 0.3
    assert band_gap(make_calculation()) == pytest.approx(states[..., 4].min() - states[..., 3].max())
    assert math.isnan(band_gap(make_calculation(num_electrons=None)))
    assert math.isnan(band_gap(make_calculation(eigenvalues=states[..., :4])))  # no empty band


def test_electronic_targets_carry_their_axis(make_calculation):
    calculation = make_calculation(band_gap=1.25)
    axis = axis_of(calculation)
    targets = electronic_targets(calculation, axis)
    assert set(targets) == {DENSITY_OF_STATES, BAND_GAP, FERMI_LEVEL}
    block = targets[DENSITY_OF_STATES].block()
    assert labels_to_grid(block.properties).is_close(axis.grid)
    torch.testing.assert_close(block.values[0], dos_target(calculation, axis), equal_nan=True)
    assert targets[BAND_GAP].block().values.tolist() == [[1.25]]
    assert targets[FERMI_LEVEL].block().values.tolist() == [[0.0]]
    assert all(target.block().values.dtype == torch.float64 for target in targets.values())


def test_the_gradient_of_the_energy_is_minus_the_forces(make_calculation):
    forces = np.arange(6.0).reshape(2, 3)
    calculation = make_calculation(energy=-7.5, forces=forces)
    block = energy_target(calculation, with_forces=True).block()
    assert block.values.tolist() == [[-7.5]]
    gradient = block.gradient("positions")
    np.testing.assert_array_equal(gradient.values[..., 0], -forces)
    assert gradient.samples.values.tolist() == [[0, 0], [0, 1]]
    assert energy_target(calculation, with_forces=False).block().gradients_list() == []


def test_an_energy_that_is_not_there(make_calculation):
    with pytest.raises(ValueError, match="made up, frame 0: expected energy, got none"):
        energy_target(make_calculation(), with_forces=False)
    with pytest.raises(ValueError, match="made up, frame 0: expected forces, got none"):
        energy_target(make_calculation(energy=1.0), with_forces=True)


def test_cell_vectors_of_open_directions_are_dropped():
    slab = fcc111("Al", (1, 1, 2), vacuum=4.5)
    slab.set_cell(slab.cell[:] + np.diag([0, 0, 20.0]))
    system = to_system(slab)  # metatomic would warn
    assert system.positions.dtype == torch.float64
    assert system.pbc.tolist() == [True, True, False]
    assert system.cell[2].tolist() == [0, 0, 0]
    np.testing.assert_allclose(system.cell[:2], slab.cell[:2])


def test_target_grid():
    axis = SpectrumAxis(EnergyGrid(-20.0, 0.5, 100), max_shift=20, smearing=0.3)
    assert axis.target_grid == EnergyGrid(-10.0, 0.5, 80)
