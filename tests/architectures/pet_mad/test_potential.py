"""Energies, forces and stresses: equal to `metatrain.pet` at equal weights, and to finite differences."""

import copy

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from metatomic.torch import ModelEvaluationOptions, ModelOutput, load_atomistic_model, systems_to_torch
from metatrain.pet.model import PET
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import DatasetInfo
from metatrain.utils.evaluate_model import evaluate_model
from metatrain.utils.neighbor_lists import get_system_with_neighbor_lists
from peer import ELEMENTS, our_network
from targets import FORCE, STRESS, cartesian, energy
from tiny_models import model_hypers, request, to_systems

from electrain.architectures.pet_mad.from_pet.network import network_options
from electrain.architectures.pet_mad.model import PETMAD
from electrain.architectures.pet_mad.trainer import Trainer
from electrain.interface.layouts import symmetric_stress

SIZES = {"energy": 1, "energy/pbe": 1, FORCE: 3, STRESS: 9, "non_conservative_stress/pbe": 9}
NETWORK = {"d_pet": 16, "d_node": 16, "d_head": 12, "d_feedforward": 20, "num_heads": 4, "cutoff": 3.0}


def potential_info():
    infos = {name: energy(name) for name in ("energy", "energy/pbe")}
    infos[FORCE] = cartesian(FORCE, 1, "eV/A", "atom")
    for name in (STRESS, "non_conservative_stress/pbe"):
        infos[name] = cartesian(name, 2, "eV/A^3", "system")
    return DatasetInfo("angstrom", ELEMENTS, infos)


def make_pair(**options):
    """`metatrain.pet` with random weights, baselines and scales, and our model with the same ones."""
    torch.manual_seed(3)
    hypers = {**get_default_hypers("pet", base_precision=64)["model"], **NETWORK, **options}
    peer = PET(hypers, potential_info()).to(torch.float64)
    ours = PETMAD(
        {
            **get_default_hypers("pet_mad")["model"],
            **network_options(hypers),
            "zbl": hypers["zbl"],
        },
        potential_info(),
    ).to(torch.float64)
    with torch.no_grad():
        for parameter in peer.backend.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    ours.network.load_state_dict(our_network(peer, SIZES).state_dict())
    for name, weights in peer.additive_models[0].model.weights.items():
        weights.block().values[:] = torch.randn(len(ELEMENTS), 1, dtype=torch.float64)
        ours.additive_models[0].model.weights[name].block().values[:] = weights.block().values
    for name, scales in peer.scaler.model.scales.items():
        scales.block().values[:] = 1.0 + torch.rand_like(scales.block().values)
        ours.scaler.model.scales[name].block().values[:] = scales.block().values
        for scaler in (peer.scaler, ours.scaler):
            scaler.model.per_target_scales[name].block().values[:] = 1.7
    return peer.eval(), ours.eval()


def crystals():
    """Bulk cells, one smaller than the cutoff, with close contacts for the repulsion of nuclei."""
    random = np.random.default_rng(2)
    frames = [bulk("Si", cubic=True), bulk("C"), bulk("SiC", "zincblende", a=4.0)]
    for atoms in frames:
        atoms.positions += 0.1 * random.normal(size=atoms.positions.shape)
    return frames


def molecules():
    random = np.random.default_rng(2)
    frames = [molecule("CH3CH2OH"), molecule("SiH4"), molecule("O")]
    for atoms in frames:
        atoms.positions += 0.05 * random.normal(size=atoms.positions.shape)
    return frames


def predict(model, frames, names):
    infos = potential_info().targets
    systems = systems_to_torch(frames, dtype=torch.float64)
    lists = [options for part in [model, *model.additive_models] for options in part.requested_neighbor_lists()]
    systems = [get_system_with_neighbor_lists(system, lists) for system in systems]
    return evaluate_model(model, systems, {name: infos[name] for name in names}, is_training=False)


def assert_equal(ours, peers, rtol):
    largest = float(peers.detach().abs().max())
    assert largest > 1e-4
    torch.testing.assert_close(ours, peers, rtol=0.0, atol=rtol * largest)


@pytest.mark.parametrize("zbl", [False, True])
@pytest.mark.parametrize("featurizer", ["residual", "feedforward"])
def test_energies_forces_and_stresses_of_the_peer(featurizer, zbl):
    """Of bulk and molecules in separate batches: the peer gives molecules a direct stress of 0, we none."""
    peer, ours = make_pair(featurizer_type=featurizer, zbl=zbl, num_neighbors_adaptive=9)
    for frames in (crystals(), molecules()):
        names = ["energy", "energy/pbe", FORCE, *([STRESS] if frames[0].pbc.all() else [])]
        expected, predicted = predict(peer, frames, names), predict(ours, frames, names)
        for name in names:
            assert_equal(predicted[name].block().values, expected[name].block().values, 1e-10)
        for name in ("energy", "energy/pbe"):
            for gradient in ("positions", "strain"):
                ours_, theirs = (p[name].block().gradient(gradient).values for p in (predicted, expected))
                assert_equal(ours_, theirs, 1e-8)


def test_the_repulsion_of_nuclei_is_there():
    frames = [bulk("C", a=2.2)]
    with_, without = (
        predict(make_pair(zbl=zbl)[1], frames, ["energy"])["energy"].block().values for zbl in (True, False)
    )
    assert with_ - without > 1.0
    assert make_pair(zbl=True)[1].export().capabilities().interaction_range >= 6.0


@pytest.mark.parametrize("frames", [crystals(), molecules()], ids=["crystals", "molecules"])
def test_forces_and_stresses_are_derivatives(frames):
    """Central differences of the energy along random displacements and strains."""
    _, model = make_pair(zbl=True)
    random = np.random.default_rng(5)
    block = predict(model, frames, ["energy"])["energy"].block()
    gradients, strains = block.gradient("positions").values[..., 0], block.gradient("strain").values[..., 0]
    first = 0
    for index, atoms in enumerate(frames):
        displacement = random.normal(size=atoms.positions.shape)
        strain = random.normal(size=(3, 3))
        step = 1e-4

        def energy_of(size, atoms=atoms, displacement=displacement, strain=strain):
            moved, strained = atoms.copy(), atoms.copy()
            moved.positions += size * displacement
            deformation = np.eye(3) + size * strain
            strained.set_cell(atoms.cell @ deformation)
            strained.positions = atoms.positions @ deformation
            return predict(model, [moved, strained], ["energy"])["energy"].block().values[:, 0].detach()

        numerical = (energy_of(step) - energy_of(-step)) / (2 * step)
        own = gradients[first : first + len(atoms)]
        expected = torch.stack(
            [(own * torch.tensor(displacement)).sum(), (strains[index] * torch.tensor(strain)).sum()]
        )
        first += len(atoms)
        torch.testing.assert_close(numerical, expected.detach(), rtol=1e-5, atol=1e-6)


def test_second_derivatives():
    """Training on forces differentiates them by the weights: checked with central differences, in training mode."""
    _, model = make_pair()
    model.train()
    frames = crystals()[1:2]
    parameter = model.network.layers[0].edge_tokens.compress.weight
    direction = torch.randn(parameter.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def force_norm():
        systems = systems_to_torch(frames, dtype=torch.float64)
        systems = [get_system_with_neighbor_lists(s, model.requested_neighbor_lists()) for s in systems]
        block = evaluate_model(model, systems, {"energy": potential_info().targets["energy"]}, is_training=True)
        return block["energy"].block().gradient("positions").values.square().sum()

    force_norm().backward()
    slope = float((parameter.grad * direction).sum())
    values = []
    for size in (1e-5, -1e-5):
        with torch.no_grad():
            parameter.add_(size * direction)
        values.append(float(force_norm().detach()))
        with torch.no_grad():
            parameter.sub_(size * direction)
    assert slope == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-5)


def test_direct_stresses_are_symmetric_and_per_volume():
    _, model = make_pair()
    silicon = crystals()[0]
    double = silicon * (2, 1, 1)
    double.set_cell(silicon.cell * [[2.0], [1.0], [1.0]])
    single, supercell = predict(model, [silicon, double], [STRESS])[STRESS].block().values[..., 0].detach()
    torch.testing.assert_close(single, single.T, rtol=0, atol=0)
    torch.testing.assert_close(single, supercell, rtol=1e-9, atol=1e-12)
    # as defined, by hand
    values = torch.arange(9.0).reshape(1, 9)
    stress = symmetric_stress(values, 2.0 * torch.eye(3).unsqueeze(0)).reshape(3, 3)
    expected = torch.tensor([[0.0, 2.0, 4.0], [2.0, 4.0, 6.0], [4.0, 6.0, 8.0]]) / 8.0
    torch.testing.assert_close(stress, expected)


def test_direct_stresses_of_atoms_sum_to_those_of_structures():
    _, model = make_pair()
    systems = to_systems(crystals(), model)
    per_system = model(systems, request([STRESS]))[STRESS].block().values
    atoms = model(systems, request([STRESS], "atom"))[STRESS].block()
    summed = torch.zeros_like(per_system).index_add(0, atoms.samples.column("system").long(), atoms.values)
    torch.testing.assert_close(summed, per_system, rtol=1e-10, atol=1e-12)


def test_no_direct_stress_without_volume():
    """Unknown for a molecule in the batch, which does not disturb the values and gradients of the others."""
    _, model = make_pair()
    model.train()
    parameter = model.network.heads[STRESS].last.weight
    gradients = []
    for frames in (crystals()[1:2], [*crystals()[1:2], *molecules()[:1]]):
        model.zero_grad()
        values = predict(model, frames, [STRESS])[STRESS].block().values
        assert torch.isnan(values[1:]).all()
        values[0].square().sum().backward()
        gradients.append(parameter.grad.clone())
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("base", ["energy", FORCE, STRESS])
def test_metadata_is_that_of_the_standard_quantities(base, tmp_path):
    """metatomic checks names, samples, components, properties and units of what a model returns."""
    _, model = make_pair()
    file = tmp_path / "model.pt"
    model.export().save(str(file))
    loaded = load_atomistic_model(str(file))
    kind = "atom" if base == FORCE else "system"
    options = ModelEvaluationOptions("angstrom", {base: ModelOutput(sample_kind=kind)})
    systems = systems_to_torch(crystals(), dtype=torch.float64)
    systems = [get_system_with_neighbor_lists(s, loaded.requested_neighbor_lists()) for s in systems]
    block = loaded(systems, options, check_consistency=True)[base].block()
    assert block.properties.names == [base]
    assert [c.names for c in block.components] == {"energy": [], FORCE: [["xyz"]], STRESS: [["xyz_1"], ["xyz_2"]]}[base]


# --- errors -----------------------------------------------------------------------------------------------------


def build(infos):
    hypers = copy.deepcopy(model_hypers())
    return PETMAD({**hypers, "energy_grid": None}, DatasetInfo("angstrom", ELEMENTS, infos))


def train(model):
    trainer = Trainer(get_default_hypers("pet_mad")["training"])
    trainer.train(model, torch.float64, [torch.device("cpu")], [], [], "")


def test_names_that_metatomic_does_not_know():
    """Before a training that could not be exported."""
    model = build({"enthalpy": cartesian("enthalpy", 1, "eV", "system")})
    with pytest.raises(ValueError, match=r"target 'enthalpy' with unit 'eV' cannot be an output.*not a known quantity"):
        train(model)


def test_units_that_do_not_fit():
    model = build({FORCE: cartesian(FORCE, 1, "eV", "atom")})
    with pytest.raises(ValueError, match=f"target '{FORCE}' with unit 'eV'.*incompatible with 'force'"):
        train(model)


def test_forces_of_the_wrong_shape():
    expected = (
        rf"target '{FORCE}' must be a Cartesian tensor of shape \[3\] per atom, got 1 block\(s\), the first of shape "
    )
    with pytest.raises(ValueError, match=expected + r"\[3, 3\] with 1 properties, per atom"):
        build({FORCE: cartesian(FORCE, 2, "eV/A", "atom")})
    with pytest.raises(ValueError, match=expected + r"\[3\] with 1 properties, per structure"):
        build({FORCE: cartesian(FORCE, 1, "eV/A", "system")})


def test_stresses_of_the_wrong_shape():
    with pytest.raises(ValueError, match=r"shape \[3, 3\] per structure, got 1 block\(s\), the first of shape \[3\]"):
        build({STRESS: cartesian(STRESS, 1, "eV/A^3", "system")})


def test_energies_in_units_the_repulsion_does_not_have():
    infos = {"energy": energy("energy")}
    hypers = {**model_hypers(zbl=True), "energy_grid": None}
    with pytest.raises(ValueError, match="ZBL only supports angstrom"):
        PETMAD(hypers, DatasetInfo("nm", ELEMENTS, infos))
