"""The network against the equations of the paper, written as plain loops, and what its spectra must fulfil."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import make_supercell
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import DatasetInfo
from networks import ELEMENTS, STRUCTURES
from slow_graphs import graph_network, linear, normalized, pairs_of, perceptron, select, silu, varied
from structures import to_batch
from targets import FORCE, cartesian

from electrain.architectures.dos_transformer.model import DOSTransformer
from electrain.nn.atom_sets import bucketed, whole_structures
from electrain.nn.batch import Batch

CUTOFF = 3.0
SMALL = {
    "cutoff": CUTOFF,
    "cutoff_width": 0.8,
    "width": 6,
    "energy_width": 4,
    "num_message_passing_layers": 2,
    "num_gaussians": 5,
    "num_heads": 2,
    "feedforward_width": 5,
}
SIZE = 7
KINDS = ("mean", "sum")  # of the whole structure, and of atoms
FRAMES = list(STRUCTURES.values())


def make_network(**options):
    return varied(make_network_untouched(**options))


def make_network_untouched(**options):
    torch.manual_seed(0)
    hypers = {**get_default_hypers("dos_transformer")["model"], **SMALL, **options}
    network = DOSTransformer.make_network(hypers, ELEMENTS, None)
    for kind in KINDS:
        network.add_output(kind, SIZE, kind)
    network.add_output("number", 1, "sum")
    return network.double().eval()


@pytest.fixture(scope="module")
def network():
    return make_network()


def batch_of(*frames, seed=None):
    return to_batch(list(frames), CUTOFF, ELEMENTS, seed)


def predict(network, batch, name="mean", kind="system", atoms=None):
    with torch.no_grad():
        return network.predict(network(batch), {name: kind}, [], select(batch, atoms)).values[name]


def attention(layer, energy, rows, weights):
    """Equation 2 for one energy, head by head, with a residual connection and a feed-forward network."""
    query = linear(layer.query, normalized(layer.normalize_queries, energy))
    mixed = []
    for head in range(layer.num_heads):
        own = slice(head * layer.head_width, (head + 1) * layer.head_width)
        keys = [linear(layer.key, row)[own] for row in rows]
        values = [linear(layer.value, row)[own] for row in rows]
        logits = [(query[own] @ key) / layer.head_width**0.5 for key in keys]
        shares = [weight * torch.exp(logit) for weight, logit in zip(weights, logits, strict=True)]
        mixed.append(sum(share * value for share, value in zip(shares, values, strict=True)) / sum(shares))
    energy = energy + linear(layer.output, torch.cat(mixed))
    if layer.feedforward is None:
        return energy
    return energy + perceptron(layer.feedforward, normalized(layer.normalize, energy))


def decoded(head, rows, weights, pooled, crystal_system=None):
    """Equation 3 for all energies."""
    found = []
    for energy in head.decoder.embeddings:
        energy = energy if crystal_system is None else energy + head.prompt.vectors[crystal_system]
        for layer in head.layers:
            energy = attention(layer, energy, rows, weights)
        shift = linear(head.decoder.project, pooled) if hasattr(head.decoder.project, "weight") else pooled
        found.append(perceptron(head.decoder.network, energy + head.decoder.alpha * shift))
    return torch.cat(found)


@torch.no_grad()
def slow_nodes(network, batch):
    inputs = network.graph_network.inputs.embedding.weight[batch.elements]
    return graph_network(network.graph_network, batch, pairs_of(batch, network.pairs), inputs)


# --- the equations ---------------------------------------------------------------------------------------------


def test_features_of_atoms(network):
    """Equations 4 and 5."""
    batch = batch_of(STRUCTURES["molecule"], STRUCTURES["isolated atom"], STRUCTURES["bulk"], seed=1)
    torch.testing.assert_close(network(batch).nodes.detach(), slow_nodes(network, batch), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pooling": "sum"},
        {"energy_width": 6, "num_heads": 1, "feedforward_width": 0, "num_attention_layers": 3},
        {"num_attention_layers": 1},
    ],
)
def test_spectra_of_structures(options):
    """Equations 2 and 3: energies attend to all atoms of the structure."""
    network = make_network(**options)
    batch = batch_of(STRUCTURES["one-atom cell"], STRUCTURES["molecule"], STRUCTURES["bulk"], seed=2)
    nodes = network(batch).nodes.detach()
    for system, found in enumerate(predict(network, batch)):
        rows = nodes[batch.system_of_atom == system]
        pooled = rows.sum(dim=0) if options.get("pooling") == "sum" else rows.mean(dim=0)
        expected = decoded(network.head("mean"), rows, [1.0] * len(rows), pooled).detach()
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_spectra_of_atoms(network):
    """Energies attend to an atom and its neighbors, which fade out."""
    batch = batch_of(STRUCTURES["isolated atom"], STRUCTURES["bulk"], seed=3)
    nodes = network(batch).nodes.detach()
    pairs = pairs_of(batch, network.pairs)
    of_atoms = predict(network, batch, "sum", "atom")
    for atom, found in enumerate(of_atoms):
        own = [(nodes[neighbor], cutoff) for center, neighbor, _, cutoff in pairs if center == atom]
        rows, weights = [nodes[atom], *(row for row, _ in own)], [1.0, *(weight for _, weight in own)]
        torch.testing.assert_close(
            found, decoded(network.head("sum"), rows, weights, nodes[atom]).detach(), rtol=1e-10, atol=1e-10
        )
    sums = torch.stack([of_atoms[batch.system_of_atom == system].sum(dim=0) for system in range(2)])
    torch.testing.assert_close(predict(network, batch, "sum"), sums, rtol=1e-10, atol=1e-10)


def test_numbers(network):
    """One value has no energies."""
    batch = batch_of(STRUCTURES["molecule"], STRUCTURES["bulk"])
    head = network.head("number")
    rows = [linear(head.last, silu(linear(head.hidden, row))) for row in network(batch).nodes]
    expected = torch.stack([sum(r for r, s in zip(rows, batch.system_of_atom, strict=True) if s == n) for n in (0, 1)])
    torch.testing.assert_close(predict(network, batch, "number"), expected.detach(), rtol=1e-10, atol=1e-10)


def test_energies_differ_even_for_one_atom(network):
    """Equation 2 alone, without a residual connection, gives all energies the same value there."""
    values = predict(network, batch_of(STRUCTURES["one-atom cell"]))[0]
    assert (values.diff().abs() > 1e-3).all()


# --- the prompt for each crystal system ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prompted():
    return make_network(crystal_system_prompt=True)


def in_systems(batch, *numbers):
    return batch._replace(crystal_systems=torch.tensor(numbers))


def test_prompts(prompted):
    """They are added to the energies before these attend, with the system of the structure to which an atom belongs."""
    batch = in_systems(batch_of(STRUCTURES["isolated atom"], STRUCTURES["molecule"], STRUCTURES["bulk"]), 0, 7, 2)
    nodes, pairs = prompted(batch).nodes.detach(), pairs_of(batch, prompted.pairs)
    for system, found in enumerate(predict(prompted, batch)):
        rows = nodes[batch.system_of_atom == system]
        number = int(batch.crystal_systems[system])
        expected = decoded(prompted.head("mean"), rows, [1.0] * len(rows), rows.mean(dim=0), number).detach()
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    chosen = [1, 3, 4, len(nodes) - 1]
    for atom, found in zip(chosen, predict(prompted, batch, "sum", "atom", chosen), strict=True):
        own = [(nodes[neighbor], cutoff) for center, neighbor, _, cutoff in pairs if center == atom]
        rows, weights = [nodes[atom], *(row for row, _ in own)], [1.0, *(weight for _, weight in own)]
        number = int(batch.crystal_systems[batch.system_of_atom[atom]])
        expected = decoded(prompted.head("sum"), rows, weights, nodes[atom], number).detach()
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", KINDS)
def test_prompts_in_batches(prompted, name):
    """A batch is its structures; the eight prompts differ; all of it in parts, too."""
    frames, numbers = many(), [n % 8 for n in range(15)]
    batch = in_systems(batch_of(*frames), *numbers)
    whole = prompted.predict(prompted(batch), {name: "system"}, [], select(batch)).values[name].detach()
    prompted.head(name).decoder.at_once = 2
    torch.testing.assert_close(predict(prompted, batch, name), whole, rtol=1e-12, atol=1e-12)
    for row, atoms, number in zip(whole, frames, numbers, strict=True):
        alone = predict(prompted, in_systems(batch_of(atoms), number), name)[0] if len(atoms) else torch.zeros_like(row)
        torch.testing.assert_close(row, alone, rtol=1e-10, atol=1e-10)
    different = predict(prompted, in_systems(batch_of(*[STRUCTURES["bulk"]] * 8), *range(8)), name)
    assert (torch.cdist(different, different) + torch.eye(8)).min() > 1e-3


def test_numbers_have_no_prompt(prompted):
    """An energy would jump where the symmetry changes."""
    batch = batch_of(STRUCTURES["bulk"], STRUCTURES["bulk"])
    first, second = predict(prompted, in_systems(batch, 1, 7), "number")
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_without_prompt_nothing_changes():
    """The option adds prompts, all zero, and draws no random number, so that all other weights are the same."""
    plain, on = make_network_untouched(), make_network_untouched(crystal_system_prompt=True)
    state = plain.state_dict()
    prompts = {f"heads.{name}.prompt.vectors" for name in KINDS}
    assert set(on.state_dict()) == {*state, *prompts}
    assert all(torch.equal(values, state.get(name, torch.zeros(8, 4))) for name, values in on.state_dict().items())
    batch = batch_of(*FRAMES)
    for name in KINDS:
        found = predict(on, in_systems(batch, *[3] * len(FRAMES)), name)
        torch.testing.assert_close(found, predict(plain, batch, name), rtol=0, atol=0)


def test_hidden_crystal_systems(prompted):
    """A tenth of them in training, others in every step, the same after the same seed."""
    numbers = torch.arange(1, 8).repeat(600)
    prompted.train()
    torch.manual_seed(3)
    first, second = (prompted.crystal_systems(numbers) for _ in range(2))
    torch.manual_seed(3)
    assert torch.equal(prompted.crystal_systems(numbers), first) and not torch.equal(first, second)
    assert (first == 0).double().mean() == pytest.approx(0.1, abs=0.02)
    assert torch.equal(first[first > 0], numbers[first > 0])
    batch = in_systems(batch_of(*[STRUCTURES["isolated atom"]] * 70), *numbers[:70])
    torch.manual_seed(3)
    hidden = prompted(batch).crystal_systems
    torch.manual_seed(3)
    assert torch.equal(hidden, prompted.crystal_systems(numbers[:70])) and 0 in hidden
    prompted.eval()
    assert torch.equal(prompted(batch).crystal_systems, numbers[:70])


@pytest.mark.parametrize("number", [8, -1])
def test_crystal_systems_that_do_not_exist(prompted, number):
    message = f"structure 1 of the batch has the crystal system {number}, but the model knows 0 to 7"
    with pytest.raises(ValueError, match=message):
        prompted(in_systems(batch_of(*FRAMES[:2]), 0, number))


def test_no_crystal_systems(prompted):
    with pytest.raises(ValueError, match=r"reads crystal systems .* but the batch has none"):
        prompted(batch_of(*FRAMES))


# --- structures in batches -------------------------------------------------------------------------------------


def many():
    """Structures of 1 to 30 atoms in random order, far more sizes than one bucket holds, and some without atoms."""
    random = np.random.default_rng(0)
    sizes = random.permutation([0, 0, 1, 1, 2, 3, 5, 8, 9, 12, 14, 20, 21, 22, 30])
    frames = []
    for size in sizes:
        places = np.stack(np.meshgrid(*[range(4)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
        positions = 1.6 * random.permutation(places)[:size] + 0.1 * random.normal(size=(size, 3))
        frames.append(Atoms(random.choice(ELEMENTS, size=size), positions=positions.reshape(-1, 3)))
    return frames


@pytest.mark.parametrize("name", KINDS)
def test_a_batch_is_its_structures(network, name):
    frames = many()
    batch = batch_of(*frames)
    assert len(bucketed(whole_structures(batch.system_of_atom, len(frames), batch.positions))) > 5
    found = predict(network, batch, name)
    for row, atoms in zip(found, frames, strict=True):
        alone = predict(network, batch_of(atoms), name)[0] if len(atoms) else torch.zeros_like(row)
        torch.testing.assert_close(row, alone, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", KINDS)
def test_parts_are_the_whole(name):
    """Without gradients, sets of atoms are computed in parts."""
    network = make_network()
    batch = batch_of(*many())
    whole = network.predict(network(batch), {name: "system"}, [], select(batch)).values[name]
    assert whole.requires_grad
    network.head(name).decoder.at_once = 2
    torch.testing.assert_close(predict(network, batch, name), whole.detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", KINDS)
def test_atoms_of_a_structure(network, name):
    """Spectra of atoms add up to that of the structure, or average to it; also those of chosen atoms."""
    batch = batch_of(STRUCTURES["molecule"], STRUCTURES["bulk"], STRUCTURES["slab"])
    of_atoms = predict(network, batch, name, "atom")
    for atoms in (None, [1, 4, 5, 10]):
        chosen = of_atoms if atoms is None else of_atoms[atoms]
        torch.testing.assert_close(predict(network, batch, name, "atom", atoms), chosen, rtol=1e-10, atol=1e-10)
        systems = batch.system_of_atom if atoms is None else batch.system_of_atom[atoms]
        of_systems = predict(network, batch, name, "system", atoms)
        for system in systems.unique():
            rows = chosen[systems == system]
            expected = rows.mean(dim=0) if name == "mean" else rows.sum(dim=0)
            torch.testing.assert_close(of_systems[system], expected, rtol=1e-10, atol=1e-10)
    if name == "sum":
        assert (predict(network, batch, name, "system", [1, 4])[2] == 0).all()


def test_supercells():
    """A spectrum of the whole structure stays what it is, unless features are summed up as in the paper."""
    cell = STRUCTURES["bulk"]
    large = make_supercell(cell, [[2, 0, 0], [0, 1, 0], [0, 1, 1]])
    for pooling in ("mean", "sum"):
        network = make_network(pooling=pooling)
        found, expected = predict(network, batch_of(large)), predict(network, batch_of(cell))
        if pooling == "mean":
            torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
        else:
            assert (found - expected).abs().max() > 1e-3


@pytest.mark.parametrize("name", KINDS)
def test_rotations_and_inversion(network, name):
    random = np.random.default_rng(0)
    turned = []
    for atoms in FRAMES:
        turn, _ = np.linalg.qr(random.normal(size=(3, 3)))
        copy = atoms.copy()
        copy.set_cell(-atoms.cell[:] @ turn)
        copy.positions = -atoms.positions @ turn
        turned.append(copy)
    torch.testing.assert_close(
        predict(network, batch_of(*turned), name), predict(network, batch_of(*FRAMES), name), rtol=1e-10, atol=1e-10
    )


# --- derivatives and TorchScript -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_derivatives(network, name):
    """Of a spectrum, by positions; some pairs are where the cutoff function fades out."""
    batch = batch_of(Atoms("OHC", positions=[[0, 0, 0], [0, 0, 1.1], [0.3, 2.6, 0.2]]), STRUCTURES["isolated atom"])

    def spectra(positions):
        moved = batch._replace(positions=positions)
        return network.predict(network(moved), {name: "system"}, [], select(batch)).values[name].sum(dim=1)

    positions = batch.positions.clone().requires_grad_()
    assert torch.autograd.gradcheck(spectra, positions, rtol=1e-5, atol=1e-7)


def test_all_parameters_get_a_gradient():
    network = make_network()
    batch = batch_of(*FRAMES)
    wanted = dict.fromkeys((*KINDS, "number"), "system")
    values = network.predict(network(batch), wanted, [], select(batch)).values
    sum(value.square().sum() for value in values.values()).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or p.grad.abs().max() == 0]
    assert all(name.endswith("key.bias") for name in without)  # the same for all keys, which softmax does not see


@pytest.mark.parametrize(
    "options",
    [{}, {"atom_features": "one_hot", "energy_width": 6, "feedforward_width": 0}, {"crystal_system_prompt": True}],
)
def test_scripted(options):
    network = make_network(**options)
    batch = in_systems(batch_of(*FRAMES), *range(len(FRAMES)))
    scripted = torch.jit.script(network)
    wanted = {"mean": "system", "sum": "atom", "number": "system"}
    for _ in range(2):
        mine = network.predict(network(batch), wanted, ["sum"], select(batch))
        theirs = scripted.predict(scripted(batch), wanted, ["sum"], select(batch))
        for name in wanted:
            torch.testing.assert_close(theirs.values[name], mine.values[name], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(theirs.features["sum"].values, network(batch).nodes)


def test_dropout_is_for_training():
    network, batch = make_network(dropout=0.5), batch_of(*FRAMES)
    for name in KINDS:
        torch.testing.assert_close(predict(network, batch, name), predict(make_network(), batch, name))
        network.train()
        assert not torch.allclose(predict(network, batch, name), predict(network, batch, name))
        network.eval()


def test_no_structures(network):
    """No structure, no atom."""
    empty = batch_of(STRUCTURES["isolated atom"])
    empty = Batch(*(value[:0] if isinstance(value, torch.Tensor) else value for value in empty))
    for name in (*KINDS, "number"):
        assert predict(network, empty, name).shape == (0, 1 if name == "number" else SIZE)
        assert predict(network, empty, name, "atom").shape == (0, 1 if name == "number" else SIZE)


# --- what is refused -------------------------------------------------------------------------------------------


def test_vectors_are_refused():
    hypers = {**get_default_hypers("dos_transformer")["model"], **SMALL}
    info = DatasetInfo("angstrom", [1, 8], {FORCE: cartesian(FORCE, 1, "eV/A", "atom")})
    with pytest.raises(ValueError, match=r"'non_conservative_force' is a vector .*scalars and spectra only.*'pet_mad'"):
        DOSTransformer(hypers, info)


def test_heads_that_do_not_share_the_width():
    with pytest.raises(ValueError, match="divisible by the number of heads, got 4 and 3"):
        make_network(num_heads=3)
