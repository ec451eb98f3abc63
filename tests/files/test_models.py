"""Files that are no model of the density of states, and the answer to each."""

import re
import zipfile

import pytest
import torch

from electrain.calculators import ElectronicStructureCalculator, ElectronicStructureModel, ModelFileError, load_model
from electrain.files.models import read_energy_axis


class Doubling(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x


def test_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"the model file .*nothing\.pt does not exist"):
        load_model(tmp_path / "nothing.pt")


def test_folder(tmp_path):
    with pytest.raises(ModelFileError, match=r"is a folder; expected a \.pt file written by `mtt export`"):
        load_model(tmp_path)


def test_text(tmp_path):
    path = tmp_path / "model.pt"
    path.write_text("no model")
    with pytest.raises(
        ModelFileError, match=r"model\.pt is not a model, or incomplete; expected a \.pt file written by `mtt export`"
    ):
        load_model(path)


def test_other_archive(tmp_path):
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("folder/a.txt", "text")
    with pytest.raises(ModelFileError, match=r"is an archive, but not a model"):
        load_model(path)


def test_checkpoint(tmp_path, reference_model):
    path = tmp_path / "model.ckpt"
    torch.save(reference_model.get_checkpoint()["model_state_dict"], path)
    text = f"{path} is a checkpoint, not an exported model; run `electrain convert {path} model.pt`"
    with pytest.raises(ModelFileError, match=re.escape(text)):
        load_model(path)


def test_other_torchscript(tmp_path):
    path = tmp_path / "script.pt"
    torch.jit.script(Doubling()).save(path)
    with pytest.raises(ModelFileError, match=r"script\.pt cannot be loaded as a metatomic model: .+"):
        load_model(path)
    with pytest.raises(ModelFileError, match=r"script\.pt has no metadata of a metatomic model: .+"):
        read_energy_axis(path)


def test_truncated(tmp_path, model_file):
    path = tmp_path / "cut.pt"
    path.write_bytes(model_file.read_bytes()[:5000])
    with pytest.raises(ModelFileError, match=r"not a model, or incomplete; expected a \.pt file"):
        load_model(path)


@pytest.mark.parametrize("use", [load_model, ElectronicStructureModel, ElectronicStructureCalculator])
def test_model_of_something_else(energy_only_file, use):
    text = r"does not predict a density of states \(mtt::dos\), but energy; for energies and forces, use metatomic's "
    text += r"ASE calculator, metatomic_ase\.MetatomicCalculator$"
    with pytest.raises(ModelFileError, match=text):
        use(energy_only_file)
