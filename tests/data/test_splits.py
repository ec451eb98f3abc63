"""Splits: what stays together, what is covered, how large the parts are."""

import numpy as np
import pytest
from ase import Atoms
from ase.formula import Formula

from electrain.data import split_structures
from electrain.data.splits import Identity, Split, given_split


def structure(formula, **info):
    atoms = Atoms(formula)
    atoms.info = info
    return atoms


def many(seed=0):
    """Thirty binary compounds of eleven elements in two subsets, with one to five relatives each."""
    generator = np.random.default_rng(seed)
    elements = ["Li", "B", "C", "N", "O", "Na", "Al", "Si", "P", "S", "Cl"]
    pairs = [(a, b) for i, a in enumerate(elements) for b in elements[i + 1 :]]
    structures = []
    for index in generator.choice(len(pairs), 30, replace=False):
        formula = "".join(pairs[index])
        for copy in range(generator.integers(1, 6)):
            structures.append(structure(formula * (1 + copy % 2), subset="bulk" if copy < 3 else "rattled"))
    return structures


def parts(split):
    return [split.train, split.validation, split.test]


@pytest.mark.parametrize("seed", range(5))
def test_every_structure_is_in_one_part(seed):
    structures = many(seed)
    split = split_structures(structures, seed=seed)
    assert sorted(index for part in parts(split) for index in part) == list(range(len(structures)))
    assert split.grouped_by == "parent or formula"


@pytest.mark.parametrize("seed", range(5))
def test_one_formula_is_never_on_two_sides(seed):
    structures = many(seed)
    split = split_structures(structures, seed=seed)
    formulas = [{structures[i].get_chemical_formula(empirical=True) for i in part} for part in parts(split)]
    assert not formulas[0] & formulas[1]
    assert not formulas[0] & formulas[2]
    assert not formulas[1] & formulas[2]


@pytest.mark.parametrize("seed", range(5))
def test_training_knows_every_element(seed):
    structures = many(seed)
    split = split_structures(structures, seed=seed)
    trained = {structures[i].get_chemical_formula(empirical=True) for i in split.train}
    for index in [*split.validation, *split.test]:
        for symbol in set(structures[index].symbols):
            assert sum(symbol in Formula(formula) for formula in trained) >= 3


def test_shares_hold_in_every_subset():
    formulas = [f"{a}{b}" for a in ("C", "N", "O", "S") for b in ("H", "Li", "Na", "K", "Rb")]
    structures = [
        structure(f"{formula}{n}", subset=subset)
        for formula in formulas
        for n, subset in [(1, "bulk"), (2, "bulk"), (3, "rattled"), (4, "rattled"), (5, "molecule")]
    ]
    split = split_structures(structures, shares=(8, 1, 1), seed=1)
    for subset, number in {"bulk": 40, "rattled": 40, "molecule": 20}.items():
        found = [sum(structures[i].info["subset"] == subset for i in part) for part in parts(split)]
        np.testing.assert_allclose(found, [0.8 * number, 0.1 * number, 0.1 * number], atol=1)


def test_relatives_of_one_parent_stay_together():
    # Different formulas (a vacancy, a substitution), but the same parent; the parent itself has no such key.
    structures = [structure("Si8", id="diamond")]
    structures += [structure(f"Si{7 - i}Ge{i}", parent="diamond") for i in range(4)]
    structures += [structure("Si2Ge", id=f"other-{i}") for i in range(3)]
    structures += [structure("SiGe3", id=f"third-{i}") for i in range(3)]
    for seed in range(10):
        split = split_structures(structures, seed=seed)
        sides = [next(k for k, part in enumerate(parts(split)) if i in part) for i in range(5)]
        assert len(set(sides)) == 1


def test_the_seed_decides():
    structures = many()
    assert split_structures(structures, seed=1) == split_structures(structures, seed=1)
    assert split_structures(structures, seed=1) != split_structures(structures, seed=2)


def test_without_a_test_set():
    split = split_structures(many(), shares=(9, 1, 0))
    assert split.test == []
    assert split.validation


def test_one_compound_is_split_by_structure():
    split = split_structures([structure("GaAs") for _ in range(10)])
    assert [len(part) for part in parts(split)] == [8, 1, 1]
    assert split.grouped_by == "structure"


@pytest.mark.parametrize("number", [3, 4, 5])
def test_few_structures_fill_every_part(number):
    split = split_structures([structure(f"SiC{n}") for n in range(1, number + 1)])
    assert [len(part) for part in parts(split)] == [number - 2, 1, 1]


@pytest.mark.parametrize("formulas", [["Si"], ["Si", "C", "Ge", "Sn"]])
def test_nothing_can_be_held_out(formulas):
    split = split_structures([structure(formula) for formula in formulas])
    assert split.train == split.validation == list(range(len(formulas)))
    assert split.test == []
    assert split.validates_on_training_set


def test_two_structures_leave_nothing_to_test():
    split = split_structures([structure("Si"), structure("Si")])
    assert (sorted(split.train + split.validation), split.test) == ([0, 1], [])
    assert not split.validates_on_training_set


def test_one_compound_is_split_by_parent():
    split = split_structures([structure("GaAs", parent=f"block-{i // 5}") for i in range(50)])
    assert [len(part) for part in parts(split)] == [40, 5, 5]
    assert split.grouped_by == "parent"
    blocks = [{i // 5 for i in part} for part in parts(split)]
    assert not blocks[0] & blocks[1] | blocks[0] & blocks[2] | blocks[1] & blocks[2]


def test_a_given_split():
    parts = ["test", "train", "validation", "train"]
    identities = [Identity("Si", ("Si",), part=part) for part in parts]
    assert given_split(identities) == Split([1, 3], [2], [0], "given")
    assert given_split(identities[:2]).validates_on_training_set


def test_nothing_to_split():
    with pytest.raises(ValueError, match="expected at least one structure to split, got none"):
        split_structures([])


@pytest.mark.parametrize("shares", [(8, 1), (0, 1, 1), (8, 0, 1), (8, 1, -1), (float("nan"), 1, 1)])
def test_shares_that_make_no_sense(shares):
    with pytest.raises(ValueError, match=r"expected shares train:validation:test, e\.g\. 8:1:1"):
        split_structures(many(), shares=shares)


@pytest.mark.parametrize("seed", range(10))
def test_parent_and_formula_together_make_a_group(seed):
    """The unlabelled crystal of a parent's formula stays with that parent's copies."""
    structures = many(seed)
    structures += [structure("Si8", parent="diamond"), structure("Si", id="other"), structure("SiC", parent="diamond")]
    split = split_structures(structures, seed=seed)
    (part,) = [part for part in parts(split) if len(structures) - 3 in part]
    assert {len(structures) - 2, len(structures) - 1} <= set(part)
    others = [i for other in parts(split) if other is not part for i in other]
    assert "CSi" not in {structures[i].get_chemical_formula(empirical=True) for i in others}
