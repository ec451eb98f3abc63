"""Stand-ins for the models that are known by name."""

import shutil
from pathlib import Path

import pytest
import torch
from metals import ELECTRONS, as_metal
from small_models import ALL_TARGETS, GRID, make_model

from electrain.files.checkpoints import write_checkpoint
from electrain.pretrained import embedded
from electrain.pretrained.weights import without_weights

CARD = "# electrain-small\n\nA stand-in.\n"


@pytest.fixture(scope="session")
def small_model_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the files of an embedded model; a metal, with a Fermi level among the states."""
    folder = tmp_path_factory.mktemp("embedded") / "electrain-small"
    folder.mkdir()
    model = as_metal(make_model(ALL_TARGETS, torch.float64, energy_grid={**GRID, "valence_electrons": ELECTRONS}))
    torch.nn.init.constant_(model.spectrum_heads["mtt::efermi"].last.bias, -3.0)
    model.export().save(folder / "model.pt")
    write_checkpoint(without_weights(model.get_checkpoint(), folder / "model.pt"), folder / "model.ckpt")
    (folder / "card.md").write_text(CARD)
    return folder


@pytest.fixture
def nothing_embedded(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation without a model of its own: the folder of its cards, which is also its cache."""
    folder = tmp_path_factory.mktemp("pretrained")
    for card in embedded.FOLDER.glob("*/card.md"):
        if not card.with_name("model.pt").exists():
            (folder / card.parent.name).mkdir()
            shutil.copy(card, folder / card.parent.name)
    monkeypatch.setattr(embedded, "FOLDER", folder)
    monkeypatch.setenv("ELECTRAIN_CACHE", str(folder / "cache"))
    return folder


@pytest.fixture
def small(nothing_embedded: Path, small_model_files: Path) -> Path:
    """An installation with the stand-in as its own model: the folder of the model."""
    return Path(shutil.copytree(small_model_files, nothing_embedded / "electrain-small"))
