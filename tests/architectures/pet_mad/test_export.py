"""The exported model: what simulation engines load."""

import json

import pytest
import torch
from metatensor.torch import Labels
from metatomic.torch import (
    ModelEvaluationOptions,
    ModelMetadata,
    System,
    load_atomistic_model,
    register_autograd_neighbors,
)
from tiny_models import (
    ALL_TARGETS,
    ELEMENTS,
    GRID,
    GRID_HYPERS,
    make_model,
    make_varied,
    model_hypers,
    request,
    structures,
    to_systems,
)

from electrain.interface.axis_labels import labels_to_grid
from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES, FERMI_LEVEL

ATOMS = list(structures().values())
DTYPES = [torch.float32, torch.float64]
SELECTIONS = {
    "all": None,
    "some": [[0, 5], [0, 1], [1, 1], [2, 0], [3, 0], [4, 0]],
    "an empty structure in between": [[0, 2], [1, 0], [1, 1], [3, 0], [4, 0]],
    "first and last structures empty": [[1, 0], [3, 0]],
    "none": [],
}


@pytest.fixture(scope="module", params=DTYPES, ids=str)
def dtype(request):
    return request.param


@pytest.fixture(scope="module")
def eager(dtype):
    return make_varied(make_model()).to(dtype).eval()


@pytest.fixture(scope="module")
def file(eager, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "model.pt"
    eager.export(ModelMetadata(name="tiny")).save(str(path))
    return str(path)


@pytest.fixture(scope="module")
def exported(file):
    """As it comes back from the file: TorchScript."""
    return load_atomistic_model(file)


@pytest.fixture(scope="module")
def systems(eager, dtype):
    return to_systems(ATOMS, eager, dtype)


def options(names, sample_kind="system", selection=None):
    selected = None
    if selection is not None:
        selected = Labels(["system", "atom"], torch.tensor(selection, dtype=torch.int32).reshape(-1, 2))
    return ModelEvaluationOptions("angstrom", request(names, sample_kind), selected)


@pytest.mark.parametrize("selection", SELECTIONS.values(), ids=SELECTIONS)
@pytest.mark.parametrize("sample_kind", ["atom", "system"])
def test_scripted_equals_eager(eager, exported, systems, dtype, sample_kind, selection):
    """Twice each: TorchScript takes other paths once it has seen a call. metatomic checks samples and names."""
    names = ALL_TARGETS if sample_kind == "system" else ("energy", DENSITY_OF_STATES)
    wanted = options([*names, "feature"], sample_kind, selection)
    expected = eager(systems, wanted.outputs, wanted.selected_atoms)
    for _ in range(3):
        results = exported(systems, wanted, check_consistency=True)
        assert sorted(results) == sorted(expected)
        for name, result in results.items():
            block, other = result.block(), expected[name].block()
            assert block.samples == other.samples
            assert block.properties == other.properties
            assert block.values.dtype == dtype
            if sample_kind == "system":
                assert block.samples.values.flatten().tolist() == list(range(len(systems)))
            tolerance = 1e-12 if dtype == torch.float64 else 1e-5
            size = max(1.0, float(other.values.detach().nan_to_num().abs().max())) if len(other.values) else 1.0
            torch.testing.assert_close(block.values, other.values, rtol=0, atol=tolerance * size, equal_nan=True)


@pytest.mark.parametrize("selection", SELECTIONS.values(), ids=SELECTIONS)
def test_selected_atoms_are_summed(exported, systems, dtype, selection):
    """What a structure's selected atoms give alone; nothing for a structure of which none was selected."""
    names = ["energy", DENSITY_OF_STATES]
    per_atom = exported(systems, options(names, "atom"), check_consistency=True)
    summed = exported(systems, options(names, "system", selection), check_consistency=True)
    for name in names:
        block = per_atom[name].block()
        expected = torch.zeros(len(systems), block.values.shape[1], dtype=dtype)
        for sample, row in zip(block.samples.values.tolist(), block.values.detach(), strict=True):
            if selection is None or sample in selection:
                expected[sample[0]] += row
        found = summed[name].block().values.detach()
        tolerance = 1e-12 if dtype == torch.float64 else 1e-5
        assert selection == [] or expected.abs().max() > 1.0
        torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * max(1.0, float(expected.abs().max())))


def test_gap_and_fermi_level_without_atoms_are_unknown(exported, systems):
    wanted = options((BAND_GAP, FERMI_LEVEL), selection=[[0, 1]])
    for result in exported(systems, wanted, check_consistency=True).values():
        known = torch.isfinite(result.block().values).flatten().tolist()
        assert known == [True] + [False] * (len(systems) - 1)


def test_one_structure_at_a_time(exported, systems, dtype):
    together = exported(systems, options(ALL_TARGETS), check_consistency=True)
    for i, system in enumerate(systems):
        alone = exported([system], options(ALL_TARGETS), check_consistency=True)
        for name in ALL_TARGETS:
            tolerance = 1e-11 if dtype == torch.float64 else 1e-4
            expected = together[name].block().values[i : i + 1]
            torch.testing.assert_close(alone[name].block().values, expected, rtol=tolerance, atol=tolerance)


def test_metadata_carries_the_energy_axis(exported):
    assert exported.metadata().name == "tiny"
    assert json.loads(exported.metadata().extra["energy_grid"]) == GRID_HYPERS


def test_metadata_keeps_what_the_user_put_there():
    model = make_model().export(ModelMetadata(name="mine", extra={"note": "a model"}))
    assert model.metadata().extra["note"] == "a model"
    assert json.loads(model.metadata().extra["energy_grid"]) == GRID_HYPERS


def test_without_a_density_of_states_there_is_no_axis():
    assert "energy_grid" in make_model().export().metadata().extra  # and it stays with that model
    model = make_model(("energy",), energy_grid=None).export()
    assert "energy_grid" not in model.metadata().extra


@pytest.mark.parametrize("sample_kind", ["atom", "system"])
def test_properties_are_the_energy_axis(exported, systems, sample_kind):
    results = exported(systems, options([DENSITY_OF_STATES], sample_kind), check_consistency=True)
    axis = labels_to_grid(results[DENSITY_OF_STATES].block().properties)
    assert axis is not None and axis.is_close(GRID)


def test_capabilities(exported, dtype):
    capabilities = exported.capabilities()
    assert capabilities.atomic_types == ELEMENTS
    assert capabilities.dtype == str(dtype).removeprefix("torch.")
    assert capabilities.length_unit.lower() == "angstrom"
    hypers = model_hypers()
    assert capabilities.interaction_range == hypers["num_message_passing_layers"] * hypers["cutoff"]
    assert {BAND_GAP, FERMI_LEVEL, DENSITY_OF_STATES, "energy", "feature"} <= set(capabilities.outputs)
    (neighbors,) = exported.requested_neighbor_lists()
    assert neighbors.cutoff == hypers["cutoff"] and neighbors.full_list and not neighbors.strict


def test_forces_and_stress_of_the_file_are_those_of_the_model(eager, exported, dtype):
    """Through the engine's own way: gradients of the sum of energies."""
    gradients = []
    for model in (eager, exported):
        (system,) = to_systems([ATOMS[1]], eager, dtype)
        positions = system.positions.clone().requires_grad_()
        cell = system.cell.clone().requires_grad_()
        fresh = System(types=system.types, positions=positions, cell=cell, pbc=system.pbc)
        for neighbors in eager.requested_neighbor_lists():
            pairs = system.get_neighbor_list(neighbors).copy()
            register_autograd_neighbors(fresh, pairs)
            fresh.add_neighbor_list(neighbors, pairs)
        wanted = options(["energy"])
        arguments = (wanted.outputs,) if model is eager else (wanted, False)
        result = model([fresh], *arguments)
        gradients.append(torch.autograd.grad(result["energy"].block().values.sum(), (positions, cell)))
    for ours, expected in zip(gradients[1], gradients[0], strict=True):
        assert expected.abs().max() > 1e-3
        tolerance = 1e-11 if dtype == torch.float64 else 1e-4
        torch.testing.assert_close(ours, expected, rtol=tolerance, atol=tolerance)


def test_half_precision_is_refused():
    with pytest.raises(ValueError, match=r"the model has dtype torch.float16, expected one of \[torch.float32, torch"):
        make_model(dtype=torch.float16).export()
