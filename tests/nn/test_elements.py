import pytest
import torch

from electrain.nn.element_embedding import ElementEmbedding
from electrain.nn.element_properties import element_properties, neighbor_weights


def test_properties_of_like_elements_are_alike():
    names = [3, 11, 19, 9, 17, 26, 27]  # Li Na K | F Cl | Fe Co
    rows = element_properties(names)
    assert rows.shape == (7, 51) and torch.isfinite(rows).all()
    torch.testing.assert_close(rows.mean(dim=0), torch.zeros(51, dtype=torch.float64), rtol=0, atol=1e-12)
    distances = torch.cdist(rows, rows)
    assert distances[1, 2] < distances[1, 3] and distances[3, 4] < distances[3, 0] and distances[5, 6] < distances[5, 1]


def test_weights_of_neighbors():
    sodium, chlorine = neighbor_weights([11, 17])
    assert sodium[0] == chlorine[0] == 1.0
    assert sodium[1] == 0.93 and chlorine[1] == 3.16  # Pauling's electronegativities
    assert chlorine[6] == pytest.approx(-20.69 / 20, abs=1e-3)  # the 3s orbital, in 20 eV


def test_every_element_up_to_lawrencium_is_known():
    assert torch.isfinite(element_properties(range(1, 104))).all()
    with pytest.raises(ValueError, match=r"expected atomic numbers with known properties, 1 to 103, got \[104\]"):
        element_properties([1, 104])


def test_embedding_with_properties():
    torch.manual_seed(0)
    properties = element_properties([1, 6, 8])
    embedding = ElementEmbedding(3, 4, properties).double()
    elements = torch.tensor([2, 0, 2])
    expected = properties @ embedding.map + 0.1 * embedding.weight
    torch.testing.assert_close(embedding(elements), expected[elements])
    torch.testing.assert_close(torch.jit.script(embedding)(elements), expected[elements])


def test_embedding_without_properties_is_a_table():
    embedding = ElementEmbedding(3, 4)
    assert list(embedding.state_dict()) == ["weight"]
    torch.testing.assert_close(torch.jit.script(embedding)(torch.tensor([1])), embedding.weight[1:2])
