"""Predictions through the exported model."""

import re
from itertools import cycle, islice

import numpy as np
import pytest
import torch
from ase.build import bulk
from metatomic.torch import ModelOutput
from metatrain.utils.neighbor_lists import get_system_with_neighbor_lists

from electrain.calculators import ElectronicStructureModel, in_batches, load_model
from electrain.interface.ase_systems import to_system

CLOSE = {"rtol": 1e-9, "atol": 1e-10}
QUANTITIES = ("energies", "density_of_states", "local_density_of_states", "band_gap", "fermi_level")


def assert_same(one, other):
    assert one.atoms == other.atoms
    for name in QUANTITIES:
        a, b = getattr(one, name), getattr(other, name)
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a, b, **CLOSE)


def test_agrees_with_the_model_itself(model, reference_model, structures):
    for atoms in structures:
        system = get_system_with_neighbor_lists(to_system(atoms), reference_model.requested_neighbor_lists())
        names = ("mtt::dos", "mtt::bandgap", "mtt::efermi")
        with torch.no_grad():
            expected = reference_model([system], {name: ModelOutput(sample_kind="system") for name in names})
        dos, gap, level = (expected[name].block().values[0].numpy() for name in names)
        result = model.predict(atoms)
        np.testing.assert_allclose(result.density_of_states, dos, **CLOSE)
        np.testing.assert_allclose([result.band_gap, result.fermi_level], [gap[0], level[0]], **CLOSE)
        np.testing.assert_allclose(result.energies, -30 + 0.05 * np.arange(800) - level[0], **CLOSE)
        assert (result.smearing, result.atoms) == (0.3, atoms)


def test_many_equal_one_by_one_in_order(model, structures):
    singles = [model.predict(atoms) for atoms in structures]
    for batch_size in (1, 5, 1000):
        results = list(model.predict_many(structures, batch_size=batch_size))
        for one, other in zip(singles, results, strict=True):
            assert_same(one, other)


def test_atoms_sum_to_the_whole(model, structures):
    totals = model.predict_many(structures)
    for atoms, resolved, total in zip(structures, model.predict_many(structures, per_atom=True), totals, strict=True):
        local = resolved.local_density_of_states
        assert local.shape == (len(atoms), 800)
        np.testing.assert_allclose(local.sum(axis=0), total.density_of_states, **CLOSE)
        np.testing.assert_allclose(resolved.density_of_states, total.density_of_states, **CLOSE)
        np.testing.assert_allclose(resolved.band_gap, total.band_gap, **CLOSE)


def test_supercell(model):
    cell, doubled = model.predict(bulk("Si")), model.predict(bulk("Si") * (2, 1, 1))
    np.testing.assert_allclose(doubled.density_of_states, 2 * cell.density_of_states, **CLOSE)
    np.testing.assert_allclose(doubled.energies, cell.energies, **CLOSE)
    np.testing.assert_allclose(doubled.band_gap, cell.band_gap, **CLOSE)
    assert cell.band_gap > 0


def test_box_of_a_molecule_does_not_matter(model, structures):
    water = structures[1]
    free = water.copy()
    free.cell = None
    assert not water.pbc.any()
    np.testing.assert_allclose(model.predict(water).density_of_states, model.predict(free).density_of_states, **CLOSE)


def test_is_lazy(model, structures):
    num_read = 0

    def endless():
        nonlocal num_read
        for atoms in cycle(structures):
            num_read += 1
            yield atoms

    results = list(islice(model.predict_many(endless(), batch_size=10), 12))
    assert [result.atoms for result in results] == list(islice(cycle(structures), 12))
    assert num_read < 30


def test_no_structures(model):
    assert list(model.predict_many([])) == []


def test_progress_bar(model, structures, capsys):
    list(model.predict_many(structures, progress=True))
    assert "8/8" in capsys.readouterr().err


def test_single_precision_without_heads(dos_only_model, structures):
    assert not dos_only_model.predicts_fermi_level
    assert not dos_only_model.predicts_band_gap
    for result in dos_only_model.predict_many(structures):
        assert (result.band_gap, result.fermi_level, result.num_electrons) == (None, None, None)
        assert not result.relative_to_fermi_level
        np.testing.assert_allclose(result.energies[[0, -1]], [-30.0, 9.95])


def test_known_elements(model):
    assert model.elements == ["H", "C", "O", "Al", "Si"]
    assert model.predicts_fermi_level and model.predicts_band_gap


def test_loaded_model(model, model_file, structures):
    assert_same(ElectronicStructureModel(load_model(model_file)).predict(structures[0]), model.predict(structures[0]))


def test_errors_name_the_structure(model, bad_structures, structures):
    for text, atoms in bad_structures.items():
        with pytest.raises(ValueError, match=re.escape(text)):
            model.predict(atoms)
        where = f"structure 2 ({atoms.get_chemical_formula(mode='metal')}): {text}"
        with pytest.raises(ValueError, match=re.escape(where)):
            list(model.predict_many([*structures[:2], atoms]))


def test_structures_are_checked_once(model, structures, checked):
    model.predict(structures[0])
    assert checked == structures[:1]
    model.predict_batch(structures)
    assert checked[1:] == structures
    list(model.predict_many(structures, batch_size=4))
    assert checked[9:] == structures
    results = list(model.predict_checked(structures, batch_size=4))
    assert len(checked) == 17
    assert [result.atoms for result in results] == structures


def test_wrong_arguments(model, model_file, structures):
    with pytest.raises(TypeError, match=r"expected a structure \(ase.Atoms, or pymatgen.s Structure or Molecule\), s"):
        model.predict(3)
    with pytest.raises(ValueError, match="batch size of at least 1 atom, got 0"):
        list(model.predict_many(structures, batch_size=0))
    with pytest.raises(ValueError, match="the device 'cuda:7' is not available on this machine, or not one the"):
        ElectronicStructureModel(model_file, device="cuda:7")


def test_predictions_that_are_not_finite(model_file, structures):
    broken = ElectronicStructureModel(model_file, device="cpu")
    for parameter in broken._model.parameters():
        parameter.data.fill_(torch.nan)
    with pytest.raises(ValueError, match=r"model.pt predicts NaN or infinity for Si2"):
        broken.predict(structures[0])


def test_batches(structures):
    sizes = [[len(atoms) for atoms in batch] for batch in in_batches(structures, 5)]
    assert sizes == [[2, 3], [1, 3], [5], [2, 1, 1]]
    assert [len(batch) for batch in in_batches(structures, 1)] == [1] * 8
    with pytest.raises(ValueError, match="expected a batch size of at least 1 atom, got 0"):
        next(in_batches(structures, 0))
