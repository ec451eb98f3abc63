import pytest
import torch

from electrain.spectra import EnergyGrid, density_of_states, gap_errors, gap_from_dos, gap_from_eigenvalues

# An indirect gap of 1.0 eV: valence maximum at the first k-point, conduction minimum at the second.
BANDS = torch.tensor([[-3.0, 0.0, 2.0], [-2.5, -0.5, 1.0]], dtype=torch.float64)
GRID = EnergyGrid(-4.0, 0.5, 17)
PLATEAUS = torch.tensor([2.0] * 5 + [0.0] * 7 + [2.0] * 5, dtype=torch.float64)


def test_indirect_gap_by_filling():
    assert gap_from_eigenvalues(BANDS, 4) == pytest.approx(1.0)
    assert gap_from_eigenvalues(BANDS, 2) == pytest.approx(2.0)
    assert gap_from_eigenvalues(BANDS[None], 4) == pytest.approx(1.0)


def test_bands_need_no_order():
    assert gap_from_eigenvalues(BANDS.flip(1), 4) == pytest.approx(1.0)


def test_overlapping_bands_are_a_metal():
    assert gap_from_eigenvalues(torch.tensor([[-1.0, 0.5, 1.0], [-1.0, 2.0, 3.5]]), 4) == 0.0
    assert gap_from_eigenvalues(torch.tensor([[-1.0, 0.5], [0.6, 2.0]]), 2) == 0.0


def test_half_filled_bands_have_no_gap():
    assert gap_from_eigenvalues(BANDS, 3) == 0.0
    assert gap_from_eigenvalues(BANDS, 4.5) == 0.0
    assert gap_from_eigenvalues(BANDS, 5) == 0.0


def test_spins_are_filled_together():
    # Three electrons: two up, one down; the smallest excitation is within the spin-down channel.
    up = torch.tensor([[-3.0, -1.0, 4.0]])
    down = torch.tensor([[-2.5, 1.5, 5.0]])
    assert gap_from_eigenvalues(torch.stack([up, down]), 3) == pytest.approx(2.5)
    # Equal spins are the calculation without them.
    assert gap_from_eigenvalues(torch.stack([BANDS, BANDS]), 4) == pytest.approx(1.0)
    assert gap_from_eigenvalues(torch.stack([BANDS, BANDS]), 3) == 0.0


def test_rigid_shift_and_supercell_keep_the_gap():
    assert gap_from_eigenvalues(BANDS + 3.7, 4) == pytest.approx(1.0)
    assert gap_from_eigenvalues(BANDS.reshape(1, 6), 8) == pytest.approx(1.0)


def test_an_empty_band_is_needed():
    with pytest.raises(ValueError, match=r"6 electrons fill 3 states per k-point: .* got 3"):
        gap_from_eigenvalues(BANDS, 6)
    with pytest.raises(ValueError, match=r"7 electrons fill 3\.5 states"):
        gap_from_eigenvalues(BANDS, 7)
    with pytest.raises(ValueError, match="positive number of electrons, got -1"):
        gap_from_eigenvalues(BANDS, -1)


def test_edges_of_the_dos_are_interpolated():
    # Flanks of 4 states/eV^2 from -2 and to 2 eV: below 0.5 states/eV from -1.625 to 1.625 eV.
    for level in (-1.6, -0.3, 0.0, 0.5, 1.6):
        assert gap_from_dos(PLATEAUS, GRID, level, 0.5) == pytest.approx(3.25)


def test_a_dos_above_the_threshold_at_the_level_is_a_metal():
    for level in (-4.0, -1.7, 1.9, 4.0):
        assert gap_from_dos(PLATEAUS, GRID, level, 0.5) == 0.0


def test_gap_of_a_broadened_spectrum_tends_to_the_gap():
    grid = EnergyGrid(-6.0, 0.01, 1201)
    dos = density_of_states(BANDS, torch.tensor([1.0, 1.0]), grid, 0.02)
    found = gap_from_dos(dos, grid, 0.5, 0.05)
    assert 0.85 < found < 1.0
    assert gap_from_dos(dos, grid, 0.3, 0.05) == pytest.approx(found)


def test_a_missing_edge_is_an_error():
    with pytest.raises(ValueError, match=r"does not reach 0\.5 states/eV above the Fermi level, 0 eV"):
        gap_from_dos(PLATEAUS * (GRID.energies() < 0), GRID, 0.0, 0.5)
    with pytest.raises(ValueError, match=r"does not reach 0\.5 states/eV below the Fermi level, 0 eV"):
        gap_from_dos(PLATEAUS * (GRID.energies() > 0), GRID, 0.0, 0.5)


def test_impossible_arguments_are_refused():
    with pytest.raises(ValueError, match=r"Fermi level, 4\.5 eV, is outside the grid, -4 \.\.\. 4 eV"):
        gap_from_dos(PLATEAUS, GRID, 4.5, 0.5)
    with pytest.raises(ValueError, match="positive threshold in states/eV, got 0"):
        gap_from_dos(PLATEAUS, GRID, 0.0, 0.0)


def test_metals_predicted_as_metals_have_no_gap_error():
    predicted = torch.tensor([0.0, 0.0, 0.3, 1.5, 0.0, 1.0], dtype=torch.float64)
    true = torch.tensor([0.0, 0.2, 0.0, 1.0, torch.nan, torch.nan], dtype=torch.float64)
    expected = torch.tensor([torch.nan, -0.2, 0.3, 0.5, torch.nan, torch.nan], dtype=torch.float64)
    torch.testing.assert_close(gap_errors(predicted, true), expected, rtol=1e-15, atol=0, equal_nan=True)
