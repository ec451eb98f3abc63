import pytest
import torch
from spectra_references import slow_density_of_states

from electrain.spectra import (
    EnergyGrid,
    broadening,
    count_electrons,
    density_of_states,
    highest_trusted_energy,
    trusted_channels,
)

GRID = EnergyGrid(-6.0, 0.05, 241)
SMEARING = 0.3


def crystal(num_k=4, num_bands=5, num_spin=None, seed=0):
    """Eigenvalues in and around the grid, and k-weights that differ."""
    generator = torch.Generator().manual_seed(seed)
    shape = (num_k, num_bands) if num_spin is None else (num_spin, num_k, num_bands)
    eigenvalues = 16.0 * torch.rand(shape, generator=generator, dtype=torch.float64) - 8.0
    weights = torch.arange(1.0, num_k + 1, dtype=torch.float64)
    return eigenvalues.sort(dim=-1).values, 2.0 * weights / weights.sum()


@pytest.mark.parametrize("num_spin", [None, 1, 2])
@pytest.mark.parametrize("step, smearing", [(0.05, 0.3), (0.07, 0.02), (0.5, 0.3), (0.01, 0.3)])
def test_matches_the_loop_over_states_with_unequal_weights(num_spin, step, smearing):
    eigenvalues, weights = crystal(num_spin=num_spin)
    grid = EnergyGrid(-6.0, step, round(12 / step))
    expected = slow_density_of_states(eigenvalues, weights, grid, smearing)
    dos = density_of_states(eigenvalues, weights, grid, smearing)
    torch.testing.assert_close(dos, expected, rtol=0, atol=1e-12 * float(expected.max()))


@pytest.mark.parametrize("offset", [-0.025, -0.01, 0.0, 0.0249])
def test_a_state_anywhere_between_two_channels(offset):
    """The expansion about the nearest channel ends in the round-off, up to the end of the tails."""
    eigenvalues = torch.tensor([[1.0 + offset]], dtype=torch.float64)
    expected = slow_density_of_states(eigenvalues, torch.tensor([2.0]), GRID, SMEARING)
    dos = density_of_states(eigenvalues, torch.tensor([2.0]), GRID, SMEARING)
    torch.testing.assert_close(dos, expected, rtol=0, atol=2e-14)


def test_blocks_of_states_add_up(monkeypatch):
    eigenvalues, weights = crystal()
    whole = density_of_states(eigenvalues, weights, GRID, SMEARING)
    monkeypatch.setattr(broadening, "_BLOCK_VALUES", 300)
    torch.testing.assert_close(density_of_states(eigenvalues, weights, GRID, SMEARING), whole, rtol=0, atol=1e-13)


def test_both_spins_are_added():
    eigenvalues, weights = crystal(num_spin=2)
    up, down = (density_of_states(spin, weights, GRID, SMEARING) for spin in eigenvalues)
    torch.testing.assert_close(density_of_states(eigenvalues, weights, GRID, SMEARING), up + down)


def test_integral_is_the_number_of_electrons():
    eigenvalues = torch.tensor([[-4.0, -2.0, 3.0], [-3.5, -2.5, 3.5]], dtype=torch.float64)
    weights = torch.tensor([0.5, 1.5], dtype=torch.float64)
    dos = density_of_states(eigenvalues, weights, GRID, SMEARING)
    assert count_electrons(dos, GRID, 0.5) == pytest.approx(4.0, abs=1e-9)


def test_supercell_has_twice_the_states():
    # A cell of twice the length folds two k-points onto one.
    bands = torch.tensor([[-4.0, 1.0], [-2.0, 0.5]], dtype=torch.float64)
    cell = density_of_states(bands, torch.tensor([1.0, 1.0]), GRID, SMEARING)
    supercell = density_of_states(bands.reshape(1, 4), torch.tensor([2.0]), GRID, SMEARING)
    torch.testing.assert_close(supercell, 2.0 * cell)


def test_rigid_shift_of_the_eigenvalues_moves_the_spectrum():
    eigenvalues, weights = crystal()
    moved = density_of_states(eigenvalues + 7 * GRID.step, weights, GRID, SMEARING)
    still = density_of_states(eigenvalues, weights, GRID, SMEARING)
    torch.testing.assert_close(moved[7:], still[:-7], rtol=0, atol=1e-12)


def test_states_far_outside_contribute_nothing():
    eigenvalues = torch.tensor([[-1e6, -150.0, 90.0, 1e12]], dtype=torch.float64)
    assert not density_of_states(eigenvalues, torch.tensor([2.0]), GRID, SMEARING).any()


def test_single_precision_comes_back_in_single_precision():
    eigenvalues, weights = crystal()
    dos = density_of_states(eigenvalues.float(), weights, GRID, SMEARING)
    assert dos.dtype == torch.float32
    expected = density_of_states(eigenvalues, weights, GRID, SMEARING).float()
    torch.testing.assert_close(dos, expected, rtol=1e-4, atol=1e-5)


def test_gradients_reach_the_eigenvalues():
    eigenvalues, weights = crystal(num_k=2, num_bands=2)
    grid = EnergyGrid(-8.0, 0.4, 40)
    assert torch.autograd.gradcheck(
        lambda values: density_of_states(values, weights, grid, 0.5), eigenvalues.clone().requires_grad_()
    )


def test_trusted_range_ends_three_smearings_below_the_lowest_maximum():
    eigenvalues = torch.tensor([[-1.0, 5.0], [0.0, 4.0]])
    assert highest_trusted_energy(eigenvalues, 0.3) == pytest.approx(3.1)
    # The other spin's highest band is lower still.
    both = torch.stack([eigenvalues, eigenvalues - 1.0])
    assert highest_trusted_energy(both, 0.3) == pytest.approx(2.1)


def test_trusted_channels_end_with_the_trusted_range():
    grid = EnergyGrid(0.0, 0.1, 6)
    trusted = trusted_channels(grid, 0.3)
    # 3 * 0.1 is larger than 0.3 in floating point; the channel belongs to the range all the same.
    assert trusted.dtype == torch.bool
    assert trusted.tolist() == [True, True, True, True, False, False]
    assert not trusted_channels(grid, -0.05).any()
    assert trusted_channels(grid, 9.0).all()


def test_a_weight_for_every_k_point_is_needed():
    eigenvalues, weights = crystal()
    with pytest.raises(ValueError, match=r"each of the 4 k-points .* got \(3,\)"):
        density_of_states(eigenvalues, weights[:3], GRID, SMEARING)
    with pytest.raises(ValueError, match=r"got \(4, 1\)"):
        density_of_states(eigenvalues, weights[:, None], GRID, SMEARING)


@pytest.mark.parametrize("bad", [-0.5, torch.nan, torch.inf])
def test_impossible_weights_are_refused(bad):
    eigenvalues, weights = crystal()
    weights[1] = bad
    with pytest.raises(ValueError, match="finite k-point weights that are not negative"):
        density_of_states(eigenvalues, weights, GRID, SMEARING)


def test_eigenvalues_that_are_not_finite_are_located():
    eigenvalues, weights = crystal()
    eigenvalues[2, 3] = torch.nan
    for call in (
        lambda: density_of_states(eigenvalues, weights, GRID, SMEARING),
        lambda: highest_trusted_energy(eigenvalues, SMEARING),
    ):
        with pytest.raises(ValueError, match=r"1 of 20 eigenvalues are not finite, the first at index \(2, 3\)"):
            call()


@pytest.mark.parametrize("shape", [(5,), (3, 4, 5), (0, 5), (1, 1, 1, 1)])
def test_other_shapes_of_eigenvalues_are_refused(shape):
    with pytest.raises(ValueError, match=r"\(num_k, num_bands\) or \(num_spin, num_k, num_bands\)"):
        highest_trusted_energy(torch.zeros(shape), SMEARING)


@pytest.mark.parametrize("smearing", [0.0, -0.3, torch.nan])
def test_smearing_has_to_be_positive(smearing):
    eigenvalues, weights = crystal()
    with pytest.raises(ValueError, match="positive smearing in eV, got"):
        density_of_states(eigenvalues, weights, GRID, smearing)
    with pytest.raises(ValueError, match="positive smearing in eV, got"):
        highest_trusted_energy(eigenvalues, smearing)
