"""The baselines against their formulas, written as plain loops."""

import pytest
import torch
from ase import Atoms
from metatrain.utils.architectures import check_architecture_options, get_default_hypers
from metatrain.utils.data import DatasetInfo
from networks import ELEMENTS, STRUCTURES
from slow_graphs import graph_network, linear, pairs_of, perceptron, select, silu, varied
from structures import to_batch
from targets import FORCE, cartesian

from electrain.architectures.dos_baseline.model import DOSBaseline
from electrain.interface.metatrain_errors import OptionsError
from electrain.nn.element_properties import neighbor_weights
from electrain.nn.shifted_spectra import SpectrumChannels
from electrain.nn.two_layer import TwoLayerNetwork
from electrain.spectra.axis import EnergyAxis
from electrain.spectra.grid import EnergyGrid

CUTOFF = 3.0
SMALL = {"cutoff": CUTOFF, "cutoff_width": 0.8, "width": 6, "num_message_passing_layers": 2, "num_gaussians": 5}
NETWORKS = ("mlp", "graph", "two_layer")
AXIS = EnergyAxis(EnergyGrid(-12.0, 0.1, 61), 4, smearing=0.3)
CHANNELS = SpectrumChannels(AXIS.grid.size, AXIS.grid.step, AXIS.middle_reference, AXIS.smearing)
KINDS = {"mean": 7, "sum": 7, "spectrum": AXIS.grid.size}
FRAMES = list(STRUCTURES.values())
MASSES = {1: 1.008, 6: 12.011, 8: 15.999, 14: 28.085, 79: 196.966569}


def make_network(network, **options):
    torch.manual_seed(0)
    hypers = {**get_default_hypers("dos_baseline")["model"], **SMALL, "network": network, **options}
    made = DOSBaseline.make_network(hypers, ELEMENTS, AXIS)
    for kind in ("mean", "sum"):
        made.add_output(kind, KINDS[kind], kind)
    made.add_output("spectrum", CHANNELS.size, "sum", CHANNELS)
    made.add_output("number", 1, "mean")
    if made.descriptors is not None:
        made.descriptors.deviation.fill_(3.0)
    return varied(made)


def batch_of(*frames):
    return to_batch(list(frames), CUTOFF, ELEMENTS, 1)


def predict(network, batch, name, kind="system", atoms=None):
    with torch.no_grad():
        return network.predict(network(batch), {name: kind}, [], select(batch, atoms)).values[name]


def slow_nodes(name, network, batch):
    if name == "mlp":
        return torch.stack([perceptron(network.encode, row) for row in network.inputs(batch.elements)])
    if name == "graph":
        inputs = network.graph_network.inputs(batch.elements)
        return graph_network(network.graph_network, batch, pairs_of(batch, network.pairs), inputs)
    layers, rows = network.layers, []
    for element, descriptors in zip(batch.elements, network.descriptors(batch), strict=True):
        known = torch.cat([layers.embedding.table()[element], descriptors])
        rows.append(silu(linear(layers.second, silu(linear(layers.first, known)))))
    return torch.stack(rows)


def of_pooled(head, pooled):
    """The values of one atom or structure."""
    if not hasattr(head, "decoder"):
        return linear(head.last, silu(linear(head.hidden, pooled)))
    decoder = head.decoder
    return torch.cat([perceptron(decoder.network, energy + decoder.alpha * pooled) for energy in decoder.embeddings])


@pytest.mark.parametrize("embeddings", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_against_loops(name, embeddings):
    """Sums are over atoms; what belongs to a whole structure comes from pooled features."""
    network = make_network(name, energy_embeddings=embeddings)
    batch = batch_of(STRUCTURES["molecule"], STRUCTURES["one-atom cell"], STRUCTURES["bulk"])
    nodes = slow_nodes(name, network, batch)
    torch.testing.assert_close(network(batch).nodes, nodes, rtol=1e-10, atol=1e-10)
    for system in range(3):
        rows = nodes[batch.system_of_atom == system]
        expected = {
            "sum": sum(of_pooled(network.head("sum"), row) for row in rows),
            "mean": of_pooled(network.head("mean"), rows.mean(dim=0)),
            "number": sum(of_pooled(network.head("number"), row) for row in rows) / len(rows),
        }
        if embeddings or name != "two_layer":
            expected["spectrum"] = sum(of_pooled(network.head("spectrum"), row) for row in rows)
        for target, values in expected.items():
            torch.testing.assert_close(predict(network, batch, target)[system], values, rtol=1e-10, atol=1e-10)


def test_linear_last_layers():
    """Those of uncertainties: what enters the last map is known for each atom, unless features are pooled before."""
    plain, embedded = make_network("graph", energy_embeddings=False), make_network("graph")
    assert [plain.last_layer(name) for name in KINDS] == [[], ["heads.sum.last.weight"], ["heads.spectrum.last.weight"]]
    assert [embedded.last_layer(name) for name in KINDS] == [[], [], []]
    assert embedded.last_layer("number") == ["heads.number.last.weight"]
    batch = batch_of(STRUCTURES["bulk"])
    found = plain.predict(plain(batch), {"sum": "system"}, ["sum"], select(batch))
    head, rows = plain.head("sum"), found.features["sum"].values
    torch.testing.assert_close(found.values["sum"][0], head.last.weight @ rows.sum(dim=0) + len(rows) * head.last.bias)


def test_sum_pooling():
    network, batch = make_network("mlp", pooling="sum"), batch_of(STRUCTURES["molecule"])
    expected = of_pooled(network.head("mean"), network(batch).nodes.sum(dim=0))
    torch.testing.assert_close(predict(network, batch, "mean")[0], expected.detach())


@torch.no_grad()
def test_two_layers_are_those_of_the_evaluation():
    """The same weights give the same density of states as the baseline of `electrain evaluate`."""
    network = make_network("two_layer", energy_embeddings=False, cutoff=6.0)
    other = TwoLayerNetwork(ELEMENTS, CHANNELS, width=6).double().eval()
    for mine, theirs in (
        (network.descriptors, other.descriptors),
        (network.layers, other.atoms),
        (network.head("spectrum").last, other.spectra),
    ):
        theirs.load_state_dict(mine.state_dict())
    batch = to_batch(FRAMES, 6.0, ELEMENTS)
    torch.testing.assert_close(predict(network, batch, "spectrum"), other(batch).spectra)
    assert network.spectra_to_start() == ["spectrum"]
    assert make_network("two_layer").spectra_to_start() == []


def test_masses_of_neighbors():
    """One more weight, and so ten more descriptors."""
    plain, with_masses = make_network("two_layer"), make_network("two_layer", neighbor_masses=True)
    assert with_masses.descriptors.size == plain.descriptors.size + 10
    masses = torch.tensor([MASSES[number] for number in ELEMENTS]).double()
    expected = torch.cat([neighbor_weights(ELEMENTS), masses.unsqueeze(1) / 100], dim=1)
    torch.testing.assert_close(with_masses.descriptors.weights, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("embeddings", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_atoms_and_structures(name, embeddings):
    """A batch is its structures; atoms add up or average; structures without atoms have zeros; parts are the whole."""
    network = make_network(name, energy_embeddings=embeddings)
    frames = [*FRAMES, Atoms()]
    batch = batch_of(*frames)
    for target in KINDS:
        found = predict(network, batch, target)
        assert (found[-1] == 0).all() and (found[:-1] != 0).any(dim=1).all()
        for row, atoms in zip(found, FRAMES, strict=False):
            torch.testing.assert_close(row, predict(network, batch_of(atoms), target)[0], rtol=1e-10, atol=1e-10)
        of_atoms = predict(network, batch, target, "atom")
        if hasattr(network.head(target), "decoder"):
            network.head(target).decoder.at_once = 2
            torch.testing.assert_close(predict(network, batch, target), found, rtol=1e-12, atol=1e-12)
        for atoms in (None, [0, 2, 9]):
            rows = of_atoms if atoms is None else of_atoms[atoms]
            torch.testing.assert_close(predict(network, batch, target, "atom", atoms), rows, rtol=1e-10, atol=1e-10)
            systems = batch.system_of_atom if atoms is None else batch.system_of_atom[atoms]
            of_systems = predict(network, batch, target, "system", atoms)
            for system in systems.unique():
                own = rows[systems == system]
                expected = own.mean(dim=0) if target == "mean" else own.sum(dim=0)
                torch.testing.assert_close(of_systems[system], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("embeddings", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_scripted(name, embeddings):
    network, batch = make_network(name, energy_embeddings=embeddings), batch_of(*FRAMES)
    scripted = torch.jit.script(network)
    wanted = {"mean": "system", "sum": "atom", "spectrum": "system", "number": "system"}
    for _ in range(2):
        mine = network.predict(network(batch), wanted, list(KINDS), select(batch))
        theirs = scripted.predict(scripted(batch), wanted, list(KINDS), select(batch))
        for target in wanted:
            torch.testing.assert_close(theirs.values[target], mine.values[target], rtol=1e-12, atol=1e-12)
        for target in KINDS:
            torch.testing.assert_close(theirs.features[target].values, mine.features[target].values)


def test_forces_of_elements_are_zero():
    """Not an error, which they were in engines if the energy had no derivative."""
    network, batch = make_network("mlp"), batch_of(STRUCTURES["molecule"])
    positions = batch.positions.clone().requires_grad_()
    features = network(batch._replace(positions=positions))
    value = network.predict(features, {"number": "system"}, [], select(batch)).values["number"].sum()
    (gradient,) = torch.autograd.grad(value, positions)
    assert (gradient == 0).all()


def test_no_structures():
    for name in NETWORKS:
        network = make_network(name)
        empty = batch_of(STRUCTURES["isolated atom"])
        empty = empty._replace(**{key: value[:0] for key, value in empty._asdict().items() if value is not None})
        for kind in ("system", "atom"):
            assert predict(network, empty, "mean", kind).shape == (0, KINDS["mean"])
            assert predict(network, empty, "spectrum", kind).shape == (0, KINDS["spectrum"])


def test_vectors_are_refused():
    hypers = {**get_default_hypers("dos_baseline")["model"], **SMALL}
    info = DatasetInfo("angstrom", [1, 8], {FORCE: cartesian(FORCE, 1, "eV/A", "atom")})
    with pytest.raises(ValueError, match=r"'non_conservative_force' is a vector .*scalars and spectra only.*'pet_mad'"):
        DOSBaseline(hypers, info)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"neighbor_masses": True}, r"neighbor_masses.* with `network: two_layer` only, got `network: graph`"),
        ({"network": "cnn"}, r'network: expected mlp, graph or two_layer, got "cnn"'),
        ({"cutoff": 2.0}, r"cutoff: expected a number >= 2.4 and <= 30"),
    ],
)
def test_wrong_options(options, message):
    hypers = get_default_hypers("dos_baseline")
    hypers["model"] |= options
    with pytest.raises(OptionsError, match=message):
        check_architecture_options("dos_baseline", hypers)
