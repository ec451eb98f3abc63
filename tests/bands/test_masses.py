"""Effective masses, against closed forms."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from model_bands import FREE_ELECTRON, cubic_band, free_electrons, silicon_bands

from electrain.bands import BandStructure, KPath, effective_masses, k_path

CELL = Atoms("Po", cell=[3.3] * 3, pbc=True)


def along(line: KPath, conduction: np.ndarray) -> BandStructure:
    """Conduction bands above a flat valence band."""
    energies = np.concatenate([np.full((len(conduction), 1), conduction.min() - 2.0), conduction], axis=1)
    return BandStructure(line.atoms, line.k_points, energies[None], 0.0, line.labels, num_electrons=2.0)


def straight(num_points=61, start=(0, 0, 0), end=(0.5, 0, 0), labels=("Γ", "X")):
    return KPath(CELL, np.linspace(start, end, num_points), tuple(zip((0, num_points - 1), labels, strict=True)))


def electrons(bands):
    return [mass for mass in effective_masses(bands) if mass.carrier == "electron"]


def test_free_electrons_have_mass_one():
    pytest.importorskip("pymatgen")
    path = k_path(bulk("Al"))
    found = electrons(along(path, free_electrons(path.atoms, path.k_points, 1)))
    assert {mass.direction for mass in found} == {"Γ-W", "Γ-K", "Γ-U", "Γ-X", "Γ-L"}
    for mass in found:
        assert mass.where == "Γ"
        assert mass.mass == pytest.approx(1.0, abs=1e-3)
        assert mass.uncertainty < 1e-3


@pytest.mark.parametrize("hopping", [0.3, 2.0])
def test_a_cubic_band(hopping):
    exact = FREE_ELECTRON / (hopping * 3.3**2)
    [fine] = electrons(along(straight(601), cubic_band(straight(601).k_points, hopping)))
    assert fine.mass == pytest.approx(exact, rel=1e-3)
    [coarse] = electrons(along(straight(31), cubic_band(straight(31).k_points, hopping)))
    assert abs(coarse.mass - exact) < 2 * coarse.uncertainty
    assert coarse.uncertainty > 3 * fine.uncertainty


def test_holes_are_positive():
    line = straight(601)
    energies = np.concatenate([-cubic_band(line.k_points), np.full((601, 1), 9.0)], axis=1)
    bands = BandStructure(CELL, line.k_points, energies[None], 0.0, line.labels, num_electrons=2.0)
    [hole] = [mass for mass in effective_masses(bands) if mass.carrier == "hole"]
    assert hole.mass == pytest.approx(FREE_ELECTRON / 3.3**2, rel=1e-3)
    assert hole.direction == "Γ-X"


def test_noise_is_seen_in_the_uncertainty():
    line = straight(61)
    exact = FREE_ELECTRON / 3.3**2
    random = np.random.default_rng(0)
    found = [
        electrons(along(line, cubic_band(line.k_points) + random.normal(scale=2e-4, size=(61, 1)))) for _ in range(40)
    ]
    inside = [abs(mass.mass - exact) < 2 * mass.uncertainty for masses in found for mass in masses]
    assert len(inside) > 30
    assert np.mean(inside) > 0.8


def test_an_extremum_inside_a_line_uses_both_sides():
    line = straight(101)
    q = 2 * np.pi / 3.3 * (line.k_points[:, :1] - 0.4)
    [mass] = electrons(along(line, FREE_ELECTRON / 0.25 * q**2))
    assert (mass.where, mass.direction) == ("0.80 Γ-X", "Γ-X")
    assert mass.mass == pytest.approx(0.25, rel=1e-6)


def test_bands_that_touch_are_fitted_one_by_one():
    line = straight(101)
    q = 2 * np.pi / 3.3 * line.k_points[:, :1]
    heavy, light = electrons(along(line, FREE_ELECTRON * q**2 / [[0.5, 0.1]]))
    assert (heavy.band, light.band) == (1, 2)
    assert [heavy.mass, light.mass] == pytest.approx([0.5, 0.1], rel=1e-6)


def test_flat_bands_have_no_finite_mass():
    [flat] = electrons(along(straight(), np.ones((61, 1))))
    assert flat.mass == flat.uncertainty == np.inf


def test_a_slope_at_the_end_of_a_line_has_no_mass():
    """Only a minimum of the path, not of the crystal."""
    line = straight(61, (0.1, 0.2, 0), (0.5, 0.2, 0), ("a", "b"))
    assert electrons(along(line, 1.0 + np.linspace(0, 1, 61)[:, None])) == []


def test_lines_with_few_points_are_left_out():
    line = straight(4)
    assert electrons(along(line, cubic_band(line.k_points))) == []
    with pytest.raises(ValueError, match="at least 5 k-points for a parabola"):
        effective_masses(along(straight(), cubic_band(straight().k_points)), 4)


def test_metals_have_none():
    line = straight()
    bands = BandStructure(CELL, line.k_points, cubic_band(line.k_points)[None], 0.0, line.labels, num_electrons=1.0)
    assert effective_masses(bands) == []


def test_silicon():
    """Each line once, although the path comes to Γ three times; light holes are lighter than heavy ones."""
    pytest.importorskip("pymatgen")
    found = effective_masses(silicon_bands(k_path(bulk("Si"), 1021)))
    holes = {(mass.direction, mass.band): mass.mass for mass in found if mass.carrier == "hole"}
    assert len(holes) == len([mass for mass in found if mass.carrier == "hole"]) == 15
    assert holes["Γ-X", 1] < holes["Γ-X", 2] == pytest.approx(holes["Γ-X", 3], rel=1e-6)
    [electron] = [mass for mass in found if mass.carrier == "electron"]
    assert electron.where == "0.73 Γ-X"
    assert electron.mass == pytest.approx(0.743, abs=2e-3)
