"""The model with density of states, band gap, Fermi level and energy."""

import pytest
import torch
from metatensor.torch import Labels
from tiny_models import (
    ALL_TARGETS,
    GRID,
    dos_map,
    make_model,
    make_varied,
    request,
    scalar_info,
    structures,
    to_systems,
)

from electrain.interface.axis_labels import labels_to_grid
from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES, FERMI_LEVEL
from electrain.interface.systems import systems_to_batch

STRUCTURES = structures()
INTENSIVE = (BAND_GAP, FERMI_LEVEL)


@pytest.fixture(scope="module")
def model():
    return make_varied(make_model()).eval()


@pytest.fixture(scope="module")
def systems(model):
    return to_systems(list(STRUCTURES.values()), model)


def values(model, systems, name, sample_kind="system", selected_atoms=None):
    return model(systems, request([name], sample_kind), selected_atoms)[name].block().values.detach()


@pytest.fixture
def head_calls(model):
    """How often each head ran: its features, and its last map."""
    calls = {}
    handles = []
    undo = []

    def count(name):
        calls[name] = calls.get(name, 0) + 1

    for name, head in model.network.heads.items():
        original = head.features

        def features(*arguments, name=name, original=original):
            count(name + " features")
            return original(*arguments)

        head.features = features
        undo.append(head)
        handles.append(head.register_forward_hook(lambda *_, name=name: count(name)))
    for name, head in model.spectrum_heads.items():
        handles.append(head.register_forward_hook(lambda *_, name=name: count(name)))
    yield calls
    for handle in handles:
        handle.remove()
    for head in undo:
        del head.features


DOS = DENSITY_OF_STATES


@pytest.mark.parametrize(
    ("requested", "expected"),
    [
        (["energy"], {"energy": 1, "energy features": 1}),
        ([DOS], {DOS: 1, f"{DOS} features": 1}),
        ([BAND_GAP], {DOS: 1, f"{DOS} features": 1, BAND_GAP: 1}),
        ([FERMI_LEVEL], {DOS: 1, f"{DOS} features": 1, FERMI_LEVEL: 1}),
        ([DOS, BAND_GAP, FERMI_LEVEL], {DOS: 1, f"{DOS} features": 1, BAND_GAP: 1, FERMI_LEVEL: 1}),
        (["feature"], {}),
        (["mtt::aux::dos_last_layer_features"], {f"{DOS} features": 1}),
        ([], {}),
    ],
)
def test_only_requested_heads_run(model, systems, head_calls, requested, expected):
    results = model(systems, request(requested))
    assert sorted(results) == sorted(requested)
    assert head_calls == expected


def test_per_atom_spectra_sum_to_those_of_the_structures(model, systems):
    per_atom = model(systems, request([DOS], "atom"))[DOS].block()
    per_system = values(model, systems, DOS)
    expected = torch.zeros_like(per_system)
    for (system, _), spectrum in zip(per_atom.samples.values.tolist(), per_atom.values.detach(), strict=True):
        expected[system] += spectrum
    assert per_system.std(dim=0).max() > 0.1
    torch.testing.assert_close(per_system, expected, rtol=1e-12, atol=1e-11)


def test_properties_are_the_energy_axis(model, systems):
    for sample_kind in ("atom", "system"):
        labels = model(systems, request([DOS], sample_kind))[DOS].block().properties
        axis = labels_to_grid(labels)
        assert axis is not None and axis.is_close(GRID)


@pytest.mark.parametrize("name", INTENSIVE)
def test_gap_and_fermi_level_read_the_spectrum_per_atom(model, systems, name):
    spectra = values(model, systems, DOS)
    sizes = torch.tensor([len(system) for system in systems], dtype=torch.float64)
    expected = model.spectrum_heads[name](spectra / sizes.unsqueeze(1)).detach()
    if name == BAND_GAP:
        expected = expected.clamp_min(0.0)
    torch.testing.assert_close(values(model, systems, name), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ALL_TARGETS)
def test_a_batch_equals_its_structures_one_by_one(model, systems, name):
    together = values(model, systems, name)
    alone = torch.cat([values(model, [system], name) for system in systems])
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ALL_TARGETS)
def test_supercells(model, name):
    """Energies and densities of states double, gap and Fermi level stay."""
    atoms = STRUCTURES["bulk"]
    single, double = (values(model, to_systems([a], model), name) for a in (atoms, atoms * (2, 1, 1)))
    expected = single if name in INTENSIVE else 2 * single
    torch.testing.assert_close(double, expected, rtol=1e-12, atol=1e-12)


def test_negative_gaps_are_cut_in_evaluation_only(systems):
    model = make_model()
    with torch.no_grad():
        for name in INTENSIVE:
            model.spectrum_heads[name].last.weight.zero_()
            model.spectrum_heads[name].last.bias.fill_(-0.7)
    for training, gap in ((True, -0.7), (False, 0.0)):
        model.train(training)
        expected = torch.full((len(systems), 1), gap, dtype=torch.float64)
        torch.testing.assert_close(values(model, systems, BAND_GAP), expected, rtol=0, atol=1e-15)
        # a Fermi level may be negative
        assert (values(model, systems, FERMI_LEVEL) == -0.7).all()


@pytest.mark.parametrize("name", INTENSIVE)
def test_gap_and_fermi_level_never_change_the_network(systems, name):
    model = make_varied(make_model()).train()
    model(systems, request([name]))[name].block().values.square().sum().backward()
    touched = {key for key, parameter in model.named_parameters() if parameter.grad is not None}
    head = model.spectrum_heads[name]
    assert touched == {f"spectrum_heads.{name}.{key}" for key, _ in head.named_parameters()}
    assert all(parameter.grad.abs().max() > 0 for parameter in head.parameters())


def test_gap_and_fermi_level_leave_the_gradients_of_the_spectrum_alone(systems):
    gradients = []
    for requested in ([DOS], [DOS, BAND_GAP, FERMI_LEVEL]):
        model = make_varied(make_model()).train()
        results = model(systems, request(requested))
        sum(result.block().values.square().sum() for result in results.values()).backward()
        gradients.append([p.grad for p in model.network.parameters()])
    assert gradients[0][0].abs().max() > 0
    for alone, together in zip(*gradients, strict=True):
        assert (alone is None and together is None) or torch.equal(alone, together)


def gap_from_atoms():
    """In training mode, where negative gaps are not cut off."""
    return make_varied(make_model(band_gap_from="atoms")).train()


def test_a_gap_from_atoms_is_a_mean_over_atoms(systems):
    model = gap_from_atoms()
    head = model.network.heads[BAND_GAP]
    for system, found in zip(systems, values(model, systems, BAND_GAP), strict=True):
        batch = systems_to_batch([system], model.neighbor_list, model.element_of_type, model.atomic_types)
        nodes, edges, graph, *_ = model.network(batch)
        of_atoms = head(head.features(nodes, edges, graph.centers, graph.weights)).detach()
        assert float(found) == pytest.approx(float(of_atoms.mean()), abs=1e-10)


def test_supercells_have_the_same_gap_from_atoms():
    model, atoms = gap_from_atoms(), STRUCTURES["bulk"]
    single, double = (values(model, to_systems([a], model), BAND_GAP) for a in (atoms, atoms * (2, 1, 1)))
    torch.testing.assert_close(double, single, rtol=1e-12, atol=1e-12)


def test_a_negative_gap_from_atoms_is_cut_in_evaluation_only(systems):
    model = gap_from_atoms()
    raw = values(model, systems, BAND_GAP)
    assert (raw < 0).any() and raw.std() > 1e-4
    torch.testing.assert_close(values(model.eval(), systems, BAND_GAP), raw.clamp_min(0.0), rtol=0, atol=1e-14)


def test_a_gap_from_atoms_needs_no_density_of_states(systems):
    model = make_model(("energy", BAND_GAP), energy_grid=None, band_gap_from="atoms").train()
    found = values(torch.jit.script(model), systems, BAND_GAP)
    torch.testing.assert_close(found, values(model, systems, BAND_GAP), rtol=0, atol=1e-12)


def test_the_gap_from_atoms_teaches_the_network(systems):
    model = gap_from_atoms()
    model(systems, request([BAND_GAP]))[BAND_GAP].block().values.square().sum().backward()
    touched = {key for key, parameter in model.named_parameters() if parameter.grad is not None}
    assert any(key.startswith("network.layers.0") for key in touched)
    assert not any(DOS in key or FERMI_LEVEL in key for key in touched)


@pytest.mark.parametrize("name", INTENSIVE)
def test_gap_from_atoms_and_fermi_level_of_an_atom_make_no_sense(systems, name):
    with pytest.raises(ValueError, match=f"{name} is a property of a whole structure, so it cannot be computed per at"):
        gap_from_atoms()(systems, request([name], "atom"))


@pytest.mark.parametrize("name", INTENSIVE)
def test_gap_and_fermi_level_of_an_atom_make_no_sense(model, systems, name):
    with pytest.raises(ValueError, match=f"{name} is a property of a whole structure, so it cannot be computed per at"):
        model(systems, request([name], "atom"))


SELECTION = Labels(["system", "atom"], torch.tensor([[4, 0], [0, 5], [0, 1], [1, 1]]))


@pytest.mark.parametrize("name", ["energy", DOS])
def test_selected_atoms(model, systems, name):
    per_atom = model(systems, request([name], "atom"))[name].block()
    chosen = model(systems, request([name], "atom"), SELECTION)[name].block()
    assert sorted(chosen.samples.values.tolist()) == sorted(SELECTION.values.tolist())
    position = {tuple(row): i for i, row in enumerate(per_atom.samples.values.tolist())}
    rows = [position[tuple(row)] for row in chosen.samples.values.tolist()]
    torch.testing.assert_close(chosen.values, per_atom.values[rows], rtol=1e-12, atol=1e-12)

    summed = model(systems, request([name]), SELECTION)[name].block()
    assert summed.samples.values.flatten().tolist() == list(range(len(systems)))
    expected = torch.zeros_like(summed.values)
    for (system, _), row in zip(chosen.samples.values.tolist(), chosen.values, strict=True):
        expected[system] += row
    torch.testing.assert_close(summed.values, expected, rtol=1e-12, atol=1e-11)
    # atoms of these systems were not asked for
    assert (summed.values[[2, 3]] == 0).all()


@pytest.mark.parametrize("name", INTENSIVE)
def test_gap_and_fermi_level_of_selected_atoms(model, systems, name):
    """From the mean spectrum of the selected atoms."""
    spectra = model(systems, request([DOS], "atom"), SELECTION)[DOS].block()
    own = spectra.samples.values[:, 0] == 0
    expected = model.spectrum_heads[name](spectra.values[own].mean(dim=0, keepdim=True))
    if name == BAND_GAP:
        expected = expected.clamp_min(0.0)
    found = values(model, systems, name, selected_atoms=SELECTION)
    torch.testing.assert_close(found[:1], expected.detach(), rtol=1e-12, atol=1e-12)


def test_baselines_of_selected_atoms(systems):
    """The baseline of one structure is not added to another of which no atom was asked for."""
    model = make_varied(make_model()).eval()
    per_atom = model(systems, request(["energy"], "atom"))["energy"].block()
    for selection in (SELECTION, Labels(["system", "atom"], torch.tensor([[1, 0]]))):
        wanted = {tuple(row) for row in selection.values.tolist()}
        expected = torch.zeros(len(systems), 1, dtype=torch.float64)
        for (system, atom), row in zip(per_atom.samples.values.tolist(), per_atom.values.detach(), strict=True):
            if (system, atom) in wanted:
                expected[system] += row
        assert expected.abs().max() > 7.0
        summed = model(systems, request(["energy"]), selection)["energy"].block().values.detach()
        torch.testing.assert_close(summed, expected, rtol=1e-12, atol=1e-12)


def test_no_atom_selected(model, systems):
    nothing = Labels(["system", "atom"], torch.zeros(0, 2, dtype=torch.int32))
    assert len(values(model, systems, DOS, "atom", nothing)) == 0
    for name in ("energy", DOS):
        assert (values(model, systems, name, selected_atoms=nothing) == 0).all()


@pytest.mark.parametrize("name", STRUCTURES)
def test_every_structure_has_finite_predictions(model, name):
    (system,) = to_systems([STRUCTURES[name]], model)
    results = model([system], request(ALL_TARGETS))
    assert sorted(results) == sorted(ALL_TARGETS)
    for result in results.values():
        assert torch.isfinite(result.block().values).all()
    assert results[DOS].block().values.abs().max() > 1e-3


def test_all_outputs_are_listed(model):
    outputs = model.supported_outputs()
    assert set(ALL_TARGETS) <= set(outputs)
    assert outputs[DOS].sample_kind == "atom"
    for name in INTENSIVE:
        assert outputs[name].unit == "eV"
        assert outputs[name].sample_kind == "system"


def test_dos_targets_without_energy_labels_are_taken_as_the_grid():
    """metatrain makes plain labels from the options file; the model puts the axis there."""
    info = scalar_info(DOS, GRID.size)
    assert labels_to_grid(info.layout.block().properties) is None
    assert labels_to_grid(dos_map(torch.zeros(1, GRID.size)).block().properties) is not None
