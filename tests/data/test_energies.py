"""Energies that are not learned."""

import numpy as np
import pytest
from ase import Atoms

from electrain.data.energies import why_not_learned
from electrain.data.splits import identity_of
from electrain.data.table import Row

OXIDES = ["MgO", "CaO", "SrO", "BaO", "ZnO", "CdO", "NiO", "FeO"]


def rows(formulas, known=("energy",), code=""):
    spins = "unpolarised"
    return [
        Row(0, 0, identity_of(atoms), len(atoms), "", -5.0, 5.0, 0.0, 8.0, spins, 1, 1, 9, known, code, False)
        for atoms in map(Atoms, formulas)
    ]


@pytest.mark.parametrize(
    ("formulas", "is_learned"),
    [
        (["Si2"], False),
        (["Si2", "Si2"], True),
        (OXIDES, False),
        ([*OXIDES, "Mg2O2", "Ca2O2"], True),  # twice the energy of another one is not a matter of the elements
        (OXIDES[:1] * 10, True),
        ([*OXIDES, "MgO2"], False),  # nine elements, nine structures
    ],
)
def test_energies_that_elements_explain(formulas, is_learned):
    why = why_not_learned({"train": rows(formulas), "validation": rows(["MgO"])})
    assert (why == "") == is_learned
    if not is_learned:
        assert why.startswith("The training set is too small for its elements")
        symbols = sorted({symbol for formula in formulas for symbol in Atoms(formula).symbols})
        counts = np.array([[list(Atoms(formula).symbols).count(symbol) for symbol in symbols] for formula in formulas])
        energies = np.random.default_rng(0).normal(size=len(formulas))
        fitted = np.linalg.lstsq(counts, energies, rcond=None)[0]
        np.testing.assert_allclose(counts @ fitted, energies, atol=1e-10)


def test_other_reasons():
    train = rows(OXIDES[:2] * 4)
    assert "several DFT codes" in why_not_learned({"train": train, "validation": rows(["MgO"], code="VASP")})
    assert why_not_learned({"train": train, "validation": rows(["MgO"], known=())}) == "Few structures have energies."
