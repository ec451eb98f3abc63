import pytest
import torch

from electrain.nn.atom_inputs import AtomInputs

MASSES = torch.tensor([1.008, 15.999, 28.085])
ELEMENTS = torch.tensor([2, 0, 2])


def test_columns():
    one_hot = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    weighted = torch.tensor([[0.0, 0.0, 28.085], [1.008, 0.0, 0.0], [0.0, 0.0, 28.085]])
    for kind, expected in (("one_hot", one_hot), ("mass_weighted_one_hot", weighted)):
        inputs = AtomInputs(kind, MASSES, 7)
        assert inputs.size == 3 and not list(inputs.parameters())
        torch.testing.assert_close(inputs(ELEMENTS), expected)
        torch.testing.assert_close(torch.jit.script(inputs)(ELEMENTS), expected)
        assert inputs.double()(ELEMENTS).dtype == torch.float64


def test_embedding():
    inputs = AtomInputs("embedding", MASSES, 7)
    assert inputs.size == 7
    rows = inputs(ELEMENTS)
    torch.testing.assert_close(rows, inputs.embedding.weight[ELEMENTS])
    torch.testing.assert_close(torch.jit.script(inputs)(ELEMENTS), rows)


def test_unknown_kind():
    with pytest.raises(ValueError, match="one of embedding, one_hot, mass_weighted_one_hot, got 'mass'"):
        AtomInputs("mass", MASSES, 7)
