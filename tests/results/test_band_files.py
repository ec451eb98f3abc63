"""Files of bands: what is in them, and reading them back."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from model_bands import cubic_band

from electrain.bands import BandStructure, band_gap
from electrain.results.band_files import open_band_writer, read_bands

K_POINTS = np.linspace([0, 0, 0], [0.5, 0, 0], 21)


def bands(**changes):
    energies = np.concatenate([-1.0 - 0.1 * cubic_band(K_POINTS), 3.0 + cubic_band(K_POINTS) / 3], axis=1)
    values = {
        "atoms": Atoms("Po", cell=[3.3] * 3, pbc=True),
        "k_points": K_POINTS,
        "energies": np.sort(energies, axis=1)[None],
        "fermi_level": 0.3,
        "labels": ((0, "Γ"), (20, "X")),
        "num_electrons": 2.0,
        "source": "a model",
    }
    return BandStructure(**values | changes)


def test_json_and_back(tmp_path):
    metal = bands(num_electrons=3.0)
    with open_band_writer(tmp_path / "bands.json") as writer:
        writer.write(bands(), "first")
        writer.write(metal, "second")
    (name, first), (_, second) = read_bands(tmp_path / "bands.json")
    assert name == "first"
    for found, expected in ((first, bands()), (second, metal)):
        np.testing.assert_array_equal(found.energies, expected.energies)
        np.testing.assert_array_equal(found.k_points, expected.k_points)
        np.testing.assert_array_equal(found.atoms.cell[:], expected.atoms.cell[:])
        assert (found.fermi_level, found.labels, found.num_electrons) == (0.3, expected.labels, expected.num_electrons)
        assert (found.noncollinear, found.source) == (False, "a model")
    contents = json.loads((tmp_path / "bands.json").read_text())["structures"]
    assert contents[0]["band_gap_eV"] == pytest.approx(band_gap(bands()).energy)
    assert contents[0]["is_direct"] is True
    assert contents[0]["valence_band_maximum"]["at"] == "Γ"
    assert {mass["carrier"] for mass in contents[0]["effective_masses"]} == {"electron", "hole"}
    assert contents[1]["is_metal"]
    assert contents[1]["effective_masses"] == []


def test_infinite_masses_are_null(tmp_path):
    flat = bands(energies=np.tile([-1.0, 1.0], (1, 21, 1)))
    with open_band_writer(tmp_path / "bands.json") as writer:
        writer.write(flat, "flat")
    masses = json.loads((tmp_path / "bands.json").read_text())["structures"][0]["effective_masses"]
    assert [mass["mass_electron_masses"] for mass in masses] == [None, None]


def test_csv(tmp_path):
    two = replace(bands(), energies=np.concatenate([bands().energies, bands().energies + 0.01]))
    with open_band_writer(tmp_path / "bands.csv") as writer:
        writer.write(bands(), "one")
        writer.write(bands(energies=np.tile([-1.0, 1.0, 2.0], (1, 21, 1))), "three bands")
        writer.write(two, "two spins")
    with (tmp_path / "bands.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * 21
    assert rows[0]["label"] == "Γ"
    assert rows[20]["label"] == "X"
    assert float(rows[20]["distance_per_angstrom"]) == pytest.approx(np.pi / 3.3, abs=1e-6)
    assert float(rows[20]["k_1"]) == 0.5
    assert float(rows[0]["band_1_eV"]) == pytest.approx(bands().energies[0, 0, 0] - bands().zero(), abs=1e-6)
    assert rows[0]["band_3_eV"] == ""
    assert rows[21]["band_3_eV"] == "2.000000"
    assert [row["spin"] for row in rows[42::21]] == ["0", "1"]


def test_nothing_incomplete_and_nothing_unknown(tmp_path):
    (tmp_path / "bands.json").write_text("mine")
    with pytest.raises(RuntimeError), open_band_writer(tmp_path / "bands.json") as writer:
        writer.write(bands(), "first")
        raise RuntimeError
    assert (tmp_path / "bands.json").read_text() == "mine"
    with pytest.raises(ValueError, match=r"ends with \.json or \.csv"), open_band_writer(tmp_path / "bands.txt"):
        pass
    (tmp_path / "dos.json").write_text('{"structures": [{"structure": "Si"}]}')
    with pytest.raises(ValueError, match=r"expected bands along paths, but .*dos\.json has other results"):
        read_bands(tmp_path / "dos.json")
