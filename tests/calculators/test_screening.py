"""A stream of structures, some of which fail."""

from itertools import chain

import numpy as np
import pytest

from electrain.calculators import ElectronicStructureModel, Failed, Predicted, screen
from electrain.structures.files import Unreadable


@pytest.fixture
def batches_with_carbon_fail(monkeypatch):
    """Evaluations of batches with carbon fail like compiled models; the list has the sizes of all batches."""
    evaluate, sizes = ElectronicStructureModel._evaluate, []

    def fails_for_carbon(self, batch, **options):
        sizes.append(len(batch))
        if any("C" in atoms.symbols for atoms in batch):
            raise RuntimeError("Traceback of TorchScript\nin its code\nout of memory\n")
        return evaluate(self, batch, **options)

    monkeypatch.setattr(ElectronicStructureModel, "_evaluate", fails_for_carbon)
    return sizes


def named(structures):
    return [(f"number {index}", atoms) for index, atoms in enumerate(structures)]


def texts(outcomes):
    return [outcome.reason if isinstance(outcome, Failed) else outcome.result.formula for outcome in outcomes]


def test_equals_the_model(model, structures, checked):
    batches = list(screen(model, named(structures), per_atom=True, batch_size=5))
    assert [len(batch) for batch in batches] == [2, 2, 1, 3]
    assert len(checked) == len(structures)
    expected = model.predict_many(structures, per_atom=True)
    for index, (outcome, one) in enumerate(zip(chain.from_iterable(batches), expected, strict=True)):
        assert isinstance(outcome, Predicted)
        assert outcome.name == f"number {index}"
        assert outcome.result.atoms is structures[index]
        np.testing.assert_allclose(outcome.result.local_density_of_states, one.local_density_of_states, rtol=1e-9)


@pytest.mark.parametrize("batch_size", [1, 6, 256])
def test_failures_keep_their_places(model, structures, bad_structures, batch_size):
    reasons = [*bad_structures, "no such file"]
    items = named(structures[:2]) + named(bad_structures.values()) + [Unreadable("a.cif", "no such file")]
    batches = list(screen(model, items + named(structures[2:]), batch_size=batch_size))
    found = texts(chain.from_iterable(batches))
    expected = ["Si2", "H2O", *reasons, "Al", "Al3", "CH4", "C2", "H", "O"]
    assert all(text.startswith(start) for text, start in zip(found, expected, strict=True)), found
    assert batches[-1][-1].name == "number 5"


def test_a_failing_batch_is_split(model, structures, batches_with_carbon_fail):
    """In halves: of 16 structures with one to blame, 8, 4, 2 and 1 fail and as many do not."""
    (batch,) = screen(model, named([structures[0]] * 10 + [structures[4]] + [structures[2]] * 5))
    assert texts(batch) == ["Si2"] * 10 + ["out of memory"] + ["Al"] * 5
    assert [outcome.name for outcome in batch] == [f"number {index}" for index in range(16)]
    assert batches_with_carbon_fail == [16, 8, 8, 4, 2, 2, 1, 1, 4]


def test_all_fail(model, structures, batches_with_carbon_fail):
    items = [*named([structures[4]] * 3), Unreadable("a.cif", "no such file")]
    (batch,) = screen(model, items)
    assert texts(batch) == ["out of memory"] * 3 + ["no such file"]
    assert list(screen(model, [])) == []


def test_is_lazy(model, structures, bad_structures):
    """Failures are told of before there are any results, and no more is read than a batch needs."""
    num_read = 0

    def endless(item):
        nonlocal num_read
        while True:
            num_read += 1
            yield item

    for item in (("Si", structures[0]), Unreadable("a.cif", "no such file"), ("empty", bad_structures.popitem()[1])):
        num_read = 0
        assert len(next(screen(model, endless(item), batch_size=20))) in (10, 20)
        assert num_read <= 21


def test_wrong_batch_size(model, structures):
    with pytest.raises(ValueError, match="expected a batch size of at least 1 atom, got 0"):
        next(screen(model, named(structures), batch_size=0))
