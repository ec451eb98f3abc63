"""The structures and labels of pretraining/: seeded, physical, without held-out compounds, and read by `mtt train`."""

import csv
import subprocess
import sys
from pathlib import Path

import ase.io
import label
import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.build import bulk, molecule
from ase.data import covalent_radii
from ase.io import write
from metatrain.utils.data.dataset import MemmapDataset
from tight_binding import tight_binding
from xtb import xtb

ROOT = Path(__file__).parents[2]
KINDS = {"crystal", "rattled", "slab", "random", "finite"}


def drawn(folder, seed):
    """60 structures; in a process of its own, because tests have a module `structures`, too."""
    output = folder / f"{seed}.xyz"
    command = [sys.executable, ROOT / "pretraining/draw.py", output, "--count", "60", "--seed", str(seed)]
    subprocess.run(command, check=True, capture_output=True)
    return output


def test_structures_are_seeded_physical_and_new(tmp_path):
    first = drawn(tmp_path, 3)
    content = first.read_bytes()
    frames = ase.io.read(first, ":")
    assert drawn(tmp_path, 3).read_bytes() == content
    assert len(frames) == 60 and {atoms.info["subset"] for atoms in frames} == KINDS
    with (ROOT / "datasets/held_out.csv").open(newline="") as file:
        held_out = {row["compound"] for row in csv.DictReader(file)}
    for atoms in frames:
        assert atoms.get_chemical_formula(mode="hill", empirical=True) not in held_out
        images = atoms.repeat([2 if periodic else 1 for periodic in atoms.pbc])
        distances = images.get_all_distances(mic=bool(atoms.pbc.any()))
        radii = covalent_radii[images.numbers]
        shortest = np.where(np.eye(len(images), dtype=bool), np.inf, distances / (radii[:, None] + radii)).min()
        assert shortest >= 0.55 - 1e-6


def test_xtb_of_water():
    """Eight valence electrons below the Fermi level, whichever way it is turned."""
    water = molecule("H2O")
    found = xtb(water)
    assert found.local.shape == (3, 3, len(tight_binding(water).local[0, 0]))
    below = label.ENERGIES < 0
    assert found.local[:, :, below].sum() * 0.5 == pytest.approx(8, abs=0.05)
    turned = water.copy()
    turned.rotate(40, (1, 2, 3))
    np.testing.assert_allclose(xtb(turned).local, found.local, atol=1e-6)


def test_gaps_of_xtb_follow_chemistry():
    """From a closed shell to pi electrons to a metallic bond."""
    gaps = [xtb(molecule(name)).gap for name in ("CH4", "C2H4", "C6H6", "Na2")]
    assert gaps == sorted(gaps, reverse=True) and gaps[-1] > 0


def test_an_unpaired_electron_half_fills_a_level():
    """As in DFT without spin polarization: no gap, and the Fermi level is in that level."""
    found = xtb(molecule("NO"))
    assert found.gap == 0
    at_fermi_level = np.abs(label.ENERGIES) < 1e-9
    assert found.local[:, :, at_fermi_level].sum() > 1


def test_a_data_set_for_mtt_train(tmp_path, monkeypatch):
    frames = [bulk("Si"), molecule("H2O"), molecule("CH4"), bulk("Al"), Atoms("Ar")]
    write(tmp_path / "s.xyz", frames, format="extxyz")
    (tmp_path / "options.yaml").write_text(yaml.safe_dump({"architecture": {"model": {"cutoff": 4.5}}}))
    arguments = ["label.py", tmp_path / "s.xyz", tmp_path / "options.yaml", tmp_path / "data"]
    monkeypatch.setattr(sys, "argv", [str(argument) for argument in arguments])
    monkeypatch.setattr(label, "EVERY", 5)
    label.main()
    options = yaml.safe_load((tmp_path / "data" / "options.yaml").read_text())
    assert options["architecture"]["model"] == {"cutoff": 4.5}
    assert options["architecture"]["atomic_types"] == [1, 6, 8, 13, 14, 18]
    targets = options["training_set"]["targets"]
    data = MemmapDataset(tmp_path / "data" / "train", targets)
    assert len(data) == 4
    assert {name: target["num_subtargets"] for name, target in targets.items()} == {
        "mtt::tight_binding": label.NUM_VALUES,
        "mtt::xtb": label.NUM_VALUES,
        "mtt::bandgap": 1,
    }
    everything = [label.values(tight_binding(frame), len(frame)) for frame in frames]
    scales = np.concatenate(everything).std(axis=0).clip(label.LEAST_SCALE)
    for frame, expected, sample in zip(frames, everything, data, strict=False):
        values = sample["mtt::tight_binding"].block().values.numpy()
        limited = (expected / scales).clip(-label.LARGEST, label.LARGEST)
        np.testing.assert_allclose(values, limited, rtol=1e-5, atol=1e-6)
        assert sample["mtt::xtb"].block().values.isnan().all() == bool(frame.pbc.any())
        gap = (tight_binding if frame.pbc.any() else xtb)(frame).gap
        assert sample["mtt::bandgap"].block().values.item() == pytest.approx(min(gap, label.LARGEST_GAP), rel=1e-6)
    with pytest.raises(SystemExit):
        label.main()  # the folder exists
