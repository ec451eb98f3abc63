"""The model: symmetries, direct forces, local densities of states, ghost atoms, smooth bonds, bad input."""

import copy
import warnings

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, make_supercell, molecule
from metatensor.torch import Labels
from metatomic.torch import System, load_atomistic_model
from metatomic_ase import MetatomicCalculator
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import Dataset, DatasetInfo
from metatrain.utils.neighbor_lists import get_system_with_neighbor_lists
from pydantic import TypeAdapter
from scipy.spatial.transform import Rotation
from targets import FORCE, STRESS, cartesian
from tiny_models import ELEMENTS, request, scalar_info, target_infos, to_systems

from electrain.architectures.tiny_net.documentation import ModelHypers
from electrain.architectures.tiny_net.model import TinyNet, longest_bonds
from electrain.interface.metatrain_errors import OptionsError
from electrain.interface.quantities import LOCAL_DOS
from electrain.spectra.fixed_axis import FixedAxis
from electrain.training.starting import start_network

AXIS = FixedAxis(-10.0, 0.5, 41, "eV")
SUMS = ("energy", LOCAL_DOS)
NAMES = (*SUMS, FORCE)


def make_model(names=NAMES, varied=True, elements=ELEMENTS, **options):
    torch.manual_seed(0)
    infos = {
        "energy": target_infos(("energy",))["energy"],
        LOCAL_DOS: scalar_info(LOCAL_DOS, AXIS.size, "", "atom"),
        FORCE: cartesian(FORCE, 1, "eV/A", "atom"),
        STRESS: cartesian(STRESS, 2, "eV/A^3", "system"),
    }
    hypers = {**get_default_hypers("tiny_net")["model"], "fixed_axes": {LOCAL_DOS: AXIS.to_dict()}, **options}
    info = DatasetInfo("angstrom", elements, {name: infos[name] for name in names})
    model = TinyNet(copy.deepcopy(hypers), info).to(torch.float64).eval()
    with torch.no_grad():
        if varied:
            for parameter in model.network.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def predict(model, atoms, kind="atom", names=NAMES, selected=None):
    outputs = model(to_systems([atoms], model), request(names, kind), selected)
    return {name: outputs[name].block().values.detach() for name in names}


def frames():
    random = np.random.default_rng(3)
    quartz = Atoms("SiO2", positions=[[0, 0, 0], [1.6, 0.1, 0], [0.2, 1.5, 0.2]], cell=[2.9, 2.8, 3.0], pbc=True)
    found = [molecule("CH3CH2OH"), bulk("SiC", "zincblende", a=4.3, cubic=True), quartz * (2, 1, 1)]
    for atoms in found:
        atoms.positions += 0.05 * random.normal(size=atoms.positions.shape)
    return found


def gradient(model, atoms):
    """Forces as derivatives."""
    (system,) = to_systems([atoms], model)
    plain = System(system.types, system.positions.clone().requires_grad_(), system.cell, system.pbc)
    plain = get_system_with_neighbor_lists(plain, model.requested_neighbor_lists())
    energy = model([plain], request(["energy"]))["energy"].block().values.sum()
    return -torch.autograd.grad(energy, plain.positions)[0].numpy()


@pytest.mark.parametrize("options", [{}, {"num_hops": 6, "paths": "simple_cycles", "neighbor_order": 0}])
@pytest.mark.parametrize("number", range(3))
def test_symmetry(number, options):
    """Rotation, inversion, permutation, translation and a supercell: all to 1e-10."""
    model, atoms = make_model(**options), frames()[number]
    expected = predict(model, atoms)
    assert expected[FORCE].abs().max() > 1e-2 and expected["energy"].std() > 1e-3
    matrix = -Rotation.random(random_state=1).as_matrix()
    order = np.random.default_rng(0).permutation(len(atoms))
    turned = atoms[order]
    turned.set_cell(atoms.cell[:] @ matrix.T)
    turned.positions = turned.positions @ matrix.T + [0.4, -9.3, 2.2]
    turned.positions[0] += turned.cell[:].T @ [2, -1, 3]
    found = predict(model, turned)
    for name in ("energy", LOCAL_DOS):
        torch.testing.assert_close(found[name], expected[name][order], rtol=0, atol=1e-10)
    turning = expected[FORCE][order].squeeze(2) @ torch.tensor(matrix).T
    torch.testing.assert_close(found[FORCE].squeeze(2), turning, rtol=0, atol=1e-10)
    if atoms.pbc.all():
        large = predict(model, make_supercell(atoms, [[2, 0, 0], [0, 1, 0], [0, 1, 1]]), "system", SUMS)
        small = predict(model, atoms, "system", SUMS)
        for name in SUMS:
            torch.testing.assert_close(large[name], 2 * small[name], rtol=1e-10, atol=1e-10)


def test_sums():
    """The total density of states is the sum of the local ones."""
    model, atoms = make_model(), frames()[0]
    local, total = predict(model, atoms), predict(model, atoms, "system", SUMS)
    for name in SUMS:
        torch.testing.assert_close(total[name][0], local[name].sum(dim=0), rtol=1e-10, atol=1e-10)


def test_what_forces_conserve():
    """Derivatives of the energy have no sum and no torque; direct forces do."""
    model, atoms = make_model(), frames()[0]
    forces = gradient(model, atoms)
    assert np.abs(forces).max() > 1e-2
    assert np.abs(forces.sum(axis=0)).max() < 1e-10
    assert np.abs(np.cross(atoms.positions, forces).sum(axis=0)).max() < 1e-9
    direct = predict(model, atoms)[FORCE].squeeze(2).numpy()
    assert np.abs(direct.sum(axis=0)).max() > 1e-2


def test_forces_where_neighbors_leave_an_axis_open():
    """On a line and in a plane, there is none out of it."""
    model = make_model()
    forces = predict(model, Atoms("OCO", positions=[[0, 0, -1.1], [0, 0, 0], [0, 0, 1.3]]))[FORCE].squeeze(2)
    assert forces[:, :2].abs().max() < 1e-10 < forces[:, 2].abs().min()
    forces = predict(model, Atoms("OHH", positions=[[0, 0, 0], [0, 0.9, 0.4], [0, -0.8, 0.6]]))[FORCE].squeeze(2)
    assert forces[:, 0].abs().max() < 1e-10 < forces[:, 1:].abs().min()
    assert (predict(model, Atoms("O"))[FORCE] == 0).all()


def test_exported_with_ghost_atoms(tmp_path):
    """As LAMMPS does: own atoms and copies of all atoms around them, no cell, predictions of the own ones."""
    model, atoms = make_model(num_hops=2, neighbor_order=2), frames()[1]
    expected = predict(model, atoms)
    model.export().save(tmp_path / "model.pt")
    exported = load_atomistic_model(tmp_path / "model.pt")
    reach = exported.capabilities().interaction_range
    copies = atoms.repeat((5, 5, 5))
    copies.positions -= 2 * atoms.cell[:].sum(axis=0)
    own = np.arange(62 * len(atoms), 63 * len(atoms))
    np.testing.assert_allclose(copies.positions[own], atoms.positions, atol=1e-10)
    nearest = np.linalg.norm(copies.positions[:, None] - atoms.positions, axis=2).min(axis=1)
    others = np.setdiff1d(np.flatnonzero(nearest < reach), own)
    assert len(others) > 100
    part = Atoms(copies.numbers[[*own, *others]], copies.positions[[*own, *others]])
    selected = Labels(["system", "atom"], torch.tensor([[0, i] for i in range(len(own))], dtype=torch.int32))
    for _ in range(2):  # the second time with optimised code
        outputs = exported.module(to_systems([part], model), request(NAMES, "atom"), selected)
        for name in NAMES:
            found = outputs[name].block().values.detach()
            torch.testing.assert_close(found, expected[name], rtol=1e-10, atol=1e-10)


def test_in_ase(tmp_path):
    """Energy, forces as derivatives, and direct forces."""
    model, atoms = make_model(), frames()[1]
    model.export().save(tmp_path / "model.pt")
    expected, direct = gradient(model, atoms), predict(model, atoms)[FORCE].squeeze(2).numpy()
    atoms.calc = MetatomicCalculator(tmp_path / "model.pt", check_consistency=True)
    np.testing.assert_allclose(atoms.get_forces(), expected, atol=1e-8)
    calculator = MetatomicCalculator(tmp_path / "model.pt", non_conservative="forces")
    atoms.calc = calculator
    # metatomic's calculator removes the mean of direct forces
    np.testing.assert_allclose(atoms.get_forces(), direct - direct.mean(axis=0), atol=1e-8)


def largest_jump(model, count, start=1.7, stop=1.9):
    """Largest change of the energy in eV from one to the next distance of C and O."""
    pairs = [Atoms("CO", positions=[[0, 0, 0], [0, 0, x]]) for x in np.linspace(start, stop, count)]
    energies = model(to_systems(pairs, model), request(["energy"]))["energy"].block().values.detach().flatten()
    return float((energies[1:] - energies[:-1]).abs().max())


@pytest.mark.parametrize("order", [0, 2])
def test_breaking_a_bond(order):
    """Without a bond width, the energy jumps where the bond breaks; with it, changes shrink with the distance."""
    broken, smooth = (make_model(("energy",), neighbor_order=order, bond_width=width) for width in (0.0, 0.3))
    jumps = [largest_jump(broken, count) for count in (21, 201)]
    changes = [largest_jump(smooth, count) for count in (21, 201)]
    assert jumps[1] > 0.5 * jumps[0] > 1e-4
    assert changes[1] == pytest.approx(0.1 * changes[0], rel=0.1)


def test_bonds():
    """Covalent radii of ASE times a factor, or one length for all."""
    hypers = get_default_hypers("tiny_net")["model"]
    found = longest_bonds({**hypers, "bond_factor": 1.2}, [8, 22])
    assert found.flatten().tolist() == pytest.approx([1.2 * 1.32, 1.2 * 2.26, 1.2 * 2.26, 1.2 * 3.2])
    assert (longest_bonds({**hypers, "bonds": "cutoff", "cutoff": 2.5}, [8, 22]) == 2.5).all()


def test_entries_that_are_zero_in_training_are_ignored():
    """Others are standardised, element by element."""
    model = make_model()
    vector = model.network.descriptors
    batch = model.read(to_systems(frames()[:1], model))
    raw, element = vector.raw(batch), batch.elements
    mean, variance = torch.zeros(2, 5, vector.size, dtype=torch.float64)
    for i in element.unique():
        own = raw[element == i]
        mean[i], variance[i] = own.mean(dim=0), own.var(dim=0, unbiased=False)
    vector.fit(mean, variance)
    values = vector(batch, False).values
    hydrogen = values[element == 0]
    assert hydrogen.mean(dim=0).abs().max() < 1e-8 and 0.5 < hydrogen[:, 0].std() < 1.2
    used = vector.scale[0] > 0
    assert torch.equal(used, (raw[element == 0].abs() > 1e-8).any(dim=0)) and 10 < used.sum() < 200
    crowded = model.read(to_systems([Atoms("HHHH", positions=0.6 * np.eye(4, 3))], model))
    assert ((vector.raw(crowded) != 0) & ~used).any()
    assert (vector(crowded, False).values[:, ~used] == 0).all()


def test_bad_input(tmp_path):
    """Too many paths and neighbors, exported or not; unknown elements; tensors."""
    atoms = frames()[1]
    model = make_model(("energy",), num_paths=[4, 1, 10], neighbor_order=0)
    expected = (
        r"atom 0 of structure 1 \(numbered through the batch\) has \d+ paths of 4 hops \(`num_hops: 4`\), but the "
        r"vector has room for 10 \(`num_paths`\): train a model with more room, or with `too_many: truncate`"
    )
    pair = Atoms("CO", positions=[[0, 0, 0], [0, 0, 1.2]])
    with pytest.raises(ValueError, match=expected):
        model(to_systems([pair, atoms], model), request(["energy"]))
    model.export().save(tmp_path / "model.pt")
    exported = load_atomistic_model(tmp_path / "model.pt")
    with pytest.raises(torch.jit.Error, match=expected):
        exported.module(to_systems([pair, atoms], model), request(["energy"]), None)
    few = make_model(("energy",), num_hops=0, num_neighbors=5)
    with pytest.raises(ValueError, match=r"has 16 neighbors up to 2 bonds away \(`neighbor_order`\), .* room for 5 "):
        few(to_systems([atoms], few), request(["energy"]))
    with pytest.raises(ValueError, match="does not know the element with atomic number 79"):
        predict(model, Atoms("Au"), names=["energy"])
    with pytest.raises(ValueError, match="'non_conservative_stress' is a tensor, but 'tiny_net' predicts scalars"):
        make_model((STRESS,))
    with pytest.raises(ValueError, match="expected `num_hops` or `neighbor_order` above 0, got 0 for both"):
        make_model(num_hops=0, neighbor_order=0)


def test_messages_about_the_training_set(caplog):
    """The structure with too many paths is named by its number there, and elements that it lacks by their symbols."""
    systems = [System(one.types, one.positions, one.cell, one.pbc) for one in to_systems(frames()[:2], make_model())]
    data = Dataset.from_dict({"system": systems})
    start_network(make_model(("energy",), num_hops=2), [data], ["energy"], with_descriptors=True)
    assert "No structure of the training set has N: predictions for such atoms are random" in caplog.text
    few = make_model(("energy",), num_paths=[4, 1, 14], neighbor_order=0)
    message = r"^structure 1 of the training set, in a batch of its own: atom 0 of structure 0 .* has \d+ paths of 4"
    with pytest.raises(ValueError, match=message):
        start_network(few, [data], ["energy"], with_descriptors=True)


def test_truncation(tmp_path):
    """What does not fit is left out, with one warning for each model; the largest values stay."""
    atoms = frames()[1]
    options = {"num_paths": [4, 1, 10], "num_neighbors": 7, "too_many": "truncate"}
    model = make_model(("energy",), **options)
    model.export().save(tmp_path / "model.pt")
    exported = load_atomistic_model(tmp_path / "model.pt").module
    for calls in (model, lambda *arguments: exported(*arguments, None)):
        with pytest.warns(UserWarning, match=r"room for 10 .*; some are left out for 8 atoms of this batch"):
            first = calls(to_systems([atoms], model), request(["energy"]))["energy"].block().values
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            again = calls(to_systems([atoms], model), request(["energy"]))["energy"].block().values
        assert torch.equal(first, again)
    whole = make_model(("energy",)).network.descriptors
    batch = model.read(to_systems([atoms], model))
    cut, full = model.network.descriptors.raw(batch), whole.raw(batch)
    torch.testing.assert_close(cut[:, 5:15], full[:, 96:106])
    torch.testing.assert_close(cut[:, 15:], full[:, 352 : 352 + 21])


def test_options():
    """Numbers of paths must suffice for the hops; their options are checked as all others."""
    good = {**get_default_hypers("tiny_net")["model"], "num_hops": 8}
    check = TypeAdapter(ModelHypers).validate_python
    check(good)
    check({**good, "num_paths": [4] * 7, "num_neighbors": 5})
    with pytest.raises(OptionsError, match="expected 7 numbers of paths with `num_hops: 8`, for 2 to 8 hops, got 2"):
        check({**good, "num_paths": [4, 4]})
    with pytest.raises(OptionsError, match="num_neighbors: expected a whole number >= 1 or null, got 0"):
        check({**good, "num_neighbors": 0})
    with pytest.raises(OptionsError, match="num_hops: expected 0, 2, 4, 6 or 8, got 3"):
        check({**good, "num_hops": 3})
