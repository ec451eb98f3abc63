"""The precision that users ask for reaches the model, and no other."""

import pytest
import torch
from ase.build import bulk
from typer.testing import CliRunner

from electrain.calculators import ElectronicStructureCalculator, ElectronicStructureModel
from electrain.cli import app
from electrain.nn.precision import MatmulPrecision


@pytest.fixture
def used(monkeypatch):
    """Which precisions models were computed with, in order."""
    found = []
    original = MatmulPrecision.in_use
    monkeypatch.setattr(
        MatmulPrecision, "in_use", lambda precision: found.append(precision.name) or original(precision)
    )
    return found


def test_model(model_file, used):
    silicon = bulk("Si")
    expected = ElectronicStructureModel(model_file).predict(silicon)
    found = ElectronicStructureModel(model_file, matmul_precision="medium").predict(silicon)
    assert used == ["highest", "medium"]
    assert torch.get_float32_matmul_precision() == "highest"
    assert found.band_gap == pytest.approx(expected.band_gap, abs=0.05)


def test_calculator(model_file, used):
    atoms = bulk("Si")
    atoms.calc = ElectronicStructureCalculator(model_file, matmul_precision="medium")
    atoms.get_potential_energy()
    atoms.calc.get_electronic_structure()
    assert used == ["medium", "medium"]


def test_command(model_file, used, tmp_path):
    bulk("Si").write(tmp_path / "silicon.xyz")
    command = ["dos", str(tmp_path / "silicon.xyz"), "-m", str(model_file), "--matmul-precision", "medium"]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert used == ["medium"]
    wrong = CliRunner().invoke(app, [*command[:-1], "low"])
    assert wrong.exit_code == 2
    assert "error: matmul_precision must be one of highest, high, medium, got 'low'" in wrong.output


def test_unknown_name(model_file):
    with pytest.raises(ValueError, match="matmul_precision must be one of highest, high, medium, got 'low'"):
        ElectronicStructureModel(model_file, matmul_precision="low")
