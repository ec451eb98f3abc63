"""The network of two layers, against its formula by hand."""

import pytest
import torch
from torch.nn import functional

from electrain.nn.batch import Batch
from electrain.nn.shifted_spectra import SpectrumChannels
from electrain.nn.two_layer import TwoLayerNetwork

NUMBERS = [1, 8, 14]
CHANNELS = SpectrumChannels(size=121, step=0.1, reference=80.0, smearing=0.3)


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = TwoLayerNetwork(NUMBERS, CHANNELS, width=12).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        network.descriptors.mean.normal_()
        network.descriptors.deviation.uniform_(1.0, 2.0)
    return network


@pytest.fixture
def batch():
    """Three structures without periodic boundaries: two, one and three atoms."""
    torch.manual_seed(1)
    systems = torch.tensor([0, 0, 1, 2, 2, 2])
    pairs = torch.tensor([(i, j) for i in range(6) for j in range(6) if i != j and systems[i] == systems[j]])
    return Batch(
        positions=2.0 * torch.randn(6, 3, dtype=torch.float64),
        elements=torch.tensor([0, 1, 2, 1, 0, 2]),
        cells=torch.zeros(3, 3, 3, dtype=torch.float64),
        system_of_atom=systems,
        centers=pairs[:, 0],
        neighbors=pairs[:, 1],
        cell_shifts=torch.zeros(len(pairs), 3, dtype=torch.int64),
    )


def test_against_the_formula(network, batch):
    found = network(batch)
    descriptors, table = network.descriptors(batch), network.atoms.embedding.table()
    first, second = network.atoms.first, network.atoms.second
    spectra, sums = torch.zeros(3, CHANNELS.size, dtype=torch.float64), torch.zeros(3, 12, dtype=torch.float64)
    for atom, (element, system) in enumerate(zip(batch.elements, batch.system_of_atom, strict=True)):
        known = torch.cat([table[element], descriptors[atom]])
        hidden = functional.silu(first.weight @ known + first.bias)
        hidden = functional.silu(second.weight @ hidden + second.bias)
        spectra[system] += network.spectra(hidden[None], element[None])[0]
        sums[system] += hidden
    torch.testing.assert_close(found.spectra, spectra)
    levels = network.levels(sums / torch.tensor([[2.0], [1.0], [3.0]]))
    torch.testing.assert_close(found.insulating, levels[:, 0])
    torch.testing.assert_close(found.gap, torch.log1p(levels[:, 1].exp()))
    torch.testing.assert_close(found.level, levels[:, 2])
    assert (found.spectra >= 0).all() and (found.gap > 0).all()


def test_untrained_it_is_a_constant_per_element(batch):
    network = TwoLayerNetwork(NUMBERS, CHANNELS, width=12).double().eval()
    rows = torch.rand(3, CHANNELS.size, dtype=torch.float64)
    network.spectra.start_from(rows)
    constants = network.spectra.broadened(network.spectra.elements.square().sum(dim=1))
    counts = torch.tensor([[1, 1, 0], [0, 0, 1], [1, 1, 1]], dtype=torch.float64)
    torch.testing.assert_close(network(batch).spectra, counts @ constants)


def test_scripted(network, batch):
    scripted = torch.jit.script(network)
    for mine, theirs in zip(network(batch), scripted(batch), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_unknown_properties():
    with pytest.raises(ValueError, match=r"expected atomic numbers with known properties, 1 to 103, got \[104\]"):
        TwoLayerNetwork([1, 104], CHANNELS)
