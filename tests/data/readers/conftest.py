"""One made-up calculation, and the real files."""

import dataclasses
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from electrain.data import Calculation

FILES = Path(__file__).parent / "files"


@pytest.fixture
def real_file(tmp_path: Path) -> Callable[[str], Path]:
    """Unpack one of the real files."""

    def unpack(name: str) -> Path:
        path = tmp_path / name
        packed = FILES / f"{name}.xz"
        path.write_bytes(lzma.decompress(packed.read_bytes()) if packed.exists() else (FILES / name).read_bytes())
        return path

    return unpack


@pytest.fixture
def metal(make_calculation: Callable[..., Calculation]) -> Callable[..., Calculation]:
    """Build a metal without, with collinear or with noncollinear spins, whose Fermi level is not at zero."""

    def make(spin_treatment: str = "unpolarised", **changes: Any) -> Calculation:
        calculation = make_calculation()
        generator = np.random.default_rng(7)
        num_spins = 2 if spin_treatment == "collinear" else 1
        levels = np.sort(generator.uniform(-4, 9, (num_spins, 6, 16)), axis=-1)
        weights = generator.uniform(0.2, 1.0, 6)
        weights *= (2 if spin_treatment == "unpolarised" else 1) / weights.sum()
        fermi_level = 2.5
        fields: dict[str, Any] = {
            "eigenvalues": levels,
            "weights": weights,
            "k_points": generator.uniform(-0.5, 0.5, (6, 3)),
            "fermi_level": fermi_level,
            "num_electrons": float(np.einsum("k,skn->", weights, levels < fermi_level)),
            "noncollinear": spin_treatment == "noncollinear",
        }
        return dataclasses.replace(calculation, **(fields | changes))

    return make
