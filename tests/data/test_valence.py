"""Valence electrons of each element from those of whole structures."""

import tracemalloc

import numpy as np
import yaml
from ase import Atoms

from electrain.data import prepare_dataset
from electrain.data.splits import identity_of
from electrain.data.table import Row
from electrain.data.valence import spin_polarized, valence_electrons


def row(formula, electrons):
    atoms = Atoms(formula)
    identity = identity_of(atoms)
    return Row(0, 0, identity, len(atoms), "", -5.0, 5.0, 0.0, electrons, "unpolarised", 1, 1, 9, (), "", False)


COUNTS = {"Al": 3, "Fe": 16, "H": 1, "No": 10, "O": 6, "Si": 4}
FORMULAS = ["Si2", "SiO2", "Al2O3", "Fe4", "FeO", "H2O", "NoH3", "Al4Si", "Si8O16H4"]


def total(formula):
    return float(sum(COUNTS[symbol] for symbol in Atoms(formula).symbols))


def test_whole_numbers():
    rows = [row(formula, total(formula)) for formula in FORMULAS]
    assert valence_electrons(rows) == COUNTS
    # what is read from a density of states is not quite whole
    noise = np.random.default_rng(0).normal(scale=0.01, size=len(rows))
    noisy = [row(formula, total(formula) + delta) for formula, delta in zip(FORMULAS, noise, strict=True)]
    assert valence_electrons(noisy) == COUNTS


def test_charged_and_unknown_structures_do_not_count():
    rows = [row(formula, total(formula)) for formula in FORMULAS * 3]
    rows += [row("FeO", total("FeO") - 2.0), row("Si8O16H4", total("Si8O16H4") + 1.0), row("Au", np.nan)]
    assert valence_electrons(rows) == COUNTS
    assert valence_electrons([row("Au", np.nan)]) == {}
    assert valence_electrons([]) == {}


def test_elements_in_one_proportion_cannot_be_told_apart():
    rows = [row("SiO2", 16.0), row("Si2O4", 32.0)]
    assert valence_electrons(rows) == {}
    assert valence_electrons([*rows, row("Al", 3.0)]) == {"Al": 3.0}
    assert valence_electrons([*rows, row("O2", 12.0)]) == {"O": 6.0, "Si": 4.0}


def test_numbers_that_are_not_whole_are_none():
    """Ions only, or codes of different cores: what comes out is no property of the element."""
    assert valence_electrons([row("B", 4.8), row("Cr2", 4.8), row("Al", 3.0)]) == {"Al": 3.0}
    assert valence_electrons([row("Al", 3.0), row("B", 0.0)]) == {"Al": 3.0}


def test_options_of_a_data_set(ten_frames, write_frames, tmp_path):
    """Eight electrons in each of the made-up calculations of two atoms."""
    prepared = prepare_dataset([write_frames(ten_frames)], tmp_path / "data")
    text = (prepared.folder / "options.yaml").read_text()
    electrons = yaml.safe_load(text)["architecture"]["model"]["energy_grid"]["valence_electrons"]
    assert electrons == dict.fromkeys(["Al", "C", "Ge", "P", "Si", "Sn"], 4.0)


def test_a_large_set_needs_no_large_memory():
    """A matrix of 20,000 x 20,000 numbers would take 3.2 GB."""
    rows = [row(formula, electrons) for formula, electrons in [("Si2", 8), ("SiC", 8), ("Ge4", 16)]] * 20_000
    tracemalloc.start()
    assert valence_electrons(rows) == {"C": 4.0, "Ge": 4.0, "Si": 4.0}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


def test_spins():
    even, odd = row("SiO2", 16.0), row("Al", 3.0)
    assert spin_polarized([even, odd]) is False
    assert spin_polarized([even, odd._replace(spins="collinear")]) is True
    assert spin_polarized([even, odd._replace(spins="noncollinear")]) is True
    assert spin_polarized([even, odd._replace(num_k=0)]) is None  # a sum, perhaps over spins
    assert spin_polarized([even._replace(band_gap=2.0), odd]) is False
    assert spin_polarized([even, odd._replace(band_gap=2.0)]) is None  # not the gap of these bands
