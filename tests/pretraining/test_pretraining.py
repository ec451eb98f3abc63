"""The structures and labels of pretraining/: seeded, physical, without held-out compounds, and read by `mtt train`."""

import sys

import draw
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


@pytest.fixture(scope="module")
def drawn():
    return list(draw.drawn(60, 3))


def test_structures_are_the_same_every_time(drawn):
    again = list(draw.drawn(60, 3))
    assert all(first == second for first, second in zip(drawn, again, strict=True))
    others = list(draw.drawn(60, 4))
    assert not any(first == second for first, second in zip(drawn, others, strict=True))


def test_structures_are_physical_and_new(drawn):
    held_out = draw.held_out()
    assert {atoms.info["subset"] for atoms in drawn} == set(draw.KINDS)
    for atoms in drawn:
        formula = atoms.get_chemical_formula(mode="hill", empirical=True)
        assert formula not in held_out
        images = atoms.repeat([2 if periodic else 1 for periodic in atoms.pbc])
        distances = images.get_all_distances(mic=bool(atoms.pbc.any()))
        radii = covalent_radii[images.numbers]
        shortest = np.where(np.eye(len(images), dtype=bool), np.inf, distances / (radii[:, None] + radii)).min()
        assert shortest >= 0.55 - 1e-9


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
    assert {target["num_subtargets"] for target in targets.values()} == {label.NUM_VALUES}
    for index, (frame, sample) in enumerate(zip(frames, data, strict=False)):
        values = sample["mtt::tight_binding"].block().values
        expected = label.values(tight_binding(frame), len(frame))
        assert values.shape == expected.shape
        # scales are those of the first structures
        known = np.abs(expected) > 0.1
        assert (values.numpy()[known] != 0).all()
        assert sample["mtt::xtb"].block().values.isnan().all() == bool(frames[index].pbc.any())
    with pytest.raises(SystemExit):
        label.main()  # the folder exists
