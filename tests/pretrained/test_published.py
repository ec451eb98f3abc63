"""Published models by name, from a stand-in for the Hugging Face Hub with the layout of the real repositories."""

import pytest
import torch
from archives import flip
from ase import Atoms
from ase.build import bulk
from local_hub import point_to, serving
from metatrain.utils.data import DatasetInfo
from metatrain.utils.data.target_info import get_generic_target_info
from metatrain.utils.io import model_from_checkpoint
from omegaconf import OmegaConf
from peer_models import make_peer_model, published_network

import electrain
from electrain import ElectronicStructureModel
from electrain.architectures.base.checkpoints import checkpoint_of
from electrain.architectures.pet_mad.from_pet.convert import convert
from electrain.data import prepare_dataset
from electrain.files.checkpoints import UnsafeCheckpointError, read_checkpoint
from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES, FERMI_LEVEL
from electrain.pretrained import known_models, locate
from electrain.pretrained import published as module
from electrain.pretrained.facts import facts_of
from electrain.pretrained.hub import NotAvailableError

DOS, MAD = "lab-cosmo/pet-mad-dos", "lab-cosmo/upet"
CHECKPOINT, GAP, LEVEL = "models/pet-mad-dos-v1.0.ckpt", "models/bandgap-model.pt", "models/fermi-model.pt"
ENERGIES = "models/pet-mad-s-v1.5.0.ckpt"


@pytest.fixture(scope="session")
def repositories(tmp_path_factory):
    """The files that the authors' packages download, with tiny models in them."""
    folder = tmp_path_factory.mktemp("hub")
    for name in (DOS, MAD):
        (folder / name / "models").mkdir(parents=True)
    torch.save(make_peer_model((DENSITY_OF_STATES,), 4806).get_checkpoint(), folder / DOS / CHECKPOINT)
    torch.save(published_network(0), folder / DOS / GAP)
    torch.save(published_network(1), folder / DOS / LEVEL)
    torch.save(make_peer_model(("energy",)).get_checkpoint(), folder / MAD / ENERGIES)
    return folder


@pytest.fixture
def cache(nothing_embedded):
    return nothing_embedded / "cache"


@pytest.fixture
def hub(repositories, cache, tmp_path, monkeypatch):
    with serving(repositories) as served:
        point_to(served, tmp_path / "hub_cache", monkeypatch)
        yield served


@pytest.fixture
def without_network(monkeypatch):
    def switch_off():
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    return switch_off


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def made(name, version=electrain.__version__):
    return [f"{name}/{version}/model.ckpt", f"{name}/{version}/model.pt"]


def test_first_and_second_use(hub, repositories, cache, without_network):
    """Downloaded and converted once, with both networks; then everything works offline."""
    model = ElectronicStructureModel("pet-mad-dos", "cpu")
    assert hub.downloads == [CHECKPOINT, GAP, LEVEL]
    assert files_in(cache) == made("pet-mad-dos")
    weights = {BAND_GAP: published_network(0), FERMI_LEVEL: published_network(1)}
    peer = convert(read_checkpoint(repositories / DOS / CHECKPOINT), spectrum_weights=weights)
    expected = ElectronicStructureModel(peer.eval().export(), "cpu").predict(bulk("Si"))
    found = model.predict(bulk("Si"))
    assert (found.band_gap, found.fermi_level) == (expected.band_gap, expected.fermi_level)
    assert found.density_of_states.tolist() == expected.density_of_states.tolist()
    without_network()
    before = [path.stat().st_mtime_ns for path in cache.rglob("*.*t")]
    assert ElectronicStructureModel("pet-mad-dos", "cpu").predict(bulk("Si")).band_gap == expected.band_gap
    assert len(hub.downloads) == 3
    assert [path.stat().st_mtime_ns for path in cache.rglob("*.*t")] == before
    facts = facts_of(known_models()["pet-mad-dos"])
    assert (facts.num_elements, facts.path) == (5, cache / made("pet-mad-dos")[1])


def test_fine_tuning(hub, make_frame, write_frames, tmp_path, monkeypatch):
    """A data set prepared like the model names it in its options, and the model accepts its targets."""
    monkeypatch.setattr("electrain.data.prepare.plot_summary", lambda *_: _[-1].touch())
    cell = {"cell": [6, 6, 6], "pbc": True}
    frames = [make_frame(Atoms(name, positions=[[0, 0, 0], [2.2, 0, 0]], **cell), seed=7) for name in ("Si2", "SiC")]
    prepared = prepare_dataset([write_frames(frames)], tmp_path / "data", like="pet-mad-dos", form="zip")
    options = OmegaConf.load(prepared.folder / "options.yaml")
    assert options.architecture.training.finetune.read_from == "pet-mad-dos"
    assert checkpoint_of("pet_mad")("pet-mad-dos") == "pet-mad-dos"
    model = model_from_checkpoint(read_checkpoint(locate("pet-mad-dos", ".ckpt").path), "finetune")
    written = options.training_set.targets
    for name in (DENSITY_OF_STATES, BAND_GAP, FERMI_LEVEL):
        theirs = get_generic_target_info(name, {"num_subtargets": 1, **written[name]})
        model.restart(DatasetInfo("angstrom", [6, 14], {name: theirs}), options.architecture.model)
        assert model.new_targets == []


def test_energies(hub, cache):
    checkpoint = read_checkpoint(locate("pet-mad", ".ckpt").path)
    assert checkpoint["architecture_name"] == "pet_mad"
    assert list(checkpoint["model_data"]["dataset_info"].targets) == ["energy"]
    assert hub.downloads == [ENERGIES]


def test_another_version_of_electrain(hub, cache, without_network, monkeypatch):
    """It converts the model again, from the downloads in the Hub's cache."""
    locate("pet-mad")
    without_network()
    monkeypatch.setattr(module, "__version__", "99.0")
    assert locate("pet-mad").path == cache / "pet-mad/99.0/model.pt"
    assert files_in(cache) == [*made("pet-mad"), *made("pet-mad", "99.0")]
    assert len(hub.downloads) == 1


@pytest.mark.parametrize("suffix", [".ckpt", ".pt"])
def test_a_damaged_cache(hub, cache, without_network, suffix):
    path = locate("pet-mad", suffix).path
    without_network()
    content = path.read_bytes()
    changed = bytearray(content)
    changed[len(content) // 2] ^= 255
    for damaged in (content[: len(content) // 2], changed, None):
        path.unlink() if damaged is None else path.write_bytes(damaged)
        assert locate("pet-mad", suffix).path == path
        assert len(path.read_bytes()) == len(content)
    assert files_in(cache) == made("pet-mad")


def test_a_conversion_that_is_interrupted(hub, cache, monkeypatch):
    """Nothing half written is taken for the model."""

    def interrupted(model, path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("electrain.files.models.save_model", interrupted)
        with pytest.raises(KeyboardInterrupt):
            locate("pet-mad")
    assert files_in(cache) == made("pet-mad")[:1]
    assert known_models()["pet-mad"].exported() is None
    assert locate("pet-mad").path.exists()
    assert files_in(cache) == made("pet-mad")


def test_an_interrupted_download_is_resumed(hub, cache, monkeypatch):
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    hub.cut[ENERGIES] = 10_000
    locate("pet-mad")
    assert hub.downloads == [ENERGIES, ENERGIES]


def test_a_damaged_download_is_repeated(hub, repositories, cache, tmp_path):
    hub.once[ENERGIES] = flip(repositories / MAD / ENERGIES, "data/0", tmp_path / "flipped").read_bytes()
    locate("pet-mad")
    assert hub.downloads == [ENERGIES, ENERGIES]


def test_a_download_that_stays_damaged(hub, repositories, cache, tmp_path):
    hub.folder = tmp_path / "damaged"
    (hub.folder / MAD / "models").mkdir(parents=True)
    flip(repositories / MAD / ENERGIES, "data/0", hub.folder / MAD / ENERGIES)
    with pytest.raises(ValueError, match=r"pet-mad-s-v1.5.0.ckpt is damaged: the checksum of"):
        locate("pet-mad")
    assert len(hub.downloads) == 2
    assert not cache.exists()


def test_a_download_that_cannot_be_repeated(hub, repositories, cache, tmp_path, without_network):
    """Damaged in the Hub's cache, and no network: the error says both."""
    locate("pet-mad")
    (path,) = (tmp_path / "hub_cache").rglob(ENERGIES)
    flip(repositories / MAD / ENERGIES, "data/0", path)
    (cache / made("pet-mad")[1]).unlink()
    without_network()
    with pytest.raises(NotAvailableError, match=r"(?s)pet-mad-s-v1.5.0.ckpt is damaged.* was not received .*put this"):
        locate("pet-mad")


def test_without_network(hub, cache, without_network):
    """The error names the repository, the files, and where to put them; then they are found there."""
    without_network()
    with pytest.raises(NotAvailableError) as caught:
        ElectronicStructureModel("pet-mad-dos")
    message = str(caught.value)
    assert "pet-mad-dos cannot be downloaded: models/pet-mad-dos-v1.0.ckpt of the Hugging Face repository" in message
    assert f"repository {DOS} (main) was not received (Cannot reach {hub.url}/" in message
    assert f"put these files into the folder {cache}/pet-mad-dos by hand:" in message
    assert message.splitlines()[1:] == [f"  {hub.url}/{DOS}/resolve/main/{file}" for file in (CHECKPOINT, GAP, LEVEL)]
    assert not cache.exists()


def test_files_put_there_by_hand(hub, repositories, cache, without_network):
    without_network()
    (cache / "pet-mad-dos").mkdir(parents=True)
    for file in (CHECKPOINT, GAP):
        (cache / "pet-mad-dos" / file.split("/")[1]).write_bytes((repositories / DOS / file).read_bytes())
    with pytest.raises(NotAvailableError, match=r"(?s)put this file into .*by hand:\n  http.*/models/fermi-model.pt$"):
        locate("pet-mad-dos")
    (cache / "pet-mad-dos" / "fermi-model.pt").write_bytes((repositories / DOS / LEVEL).read_bytes())
    ElectronicStructureModel("pet-mad-dos", "cpu").predict(bulk("Si"))
    assert hub.downloads == []


def put(cache, file, content):
    path = cache / "pet-mad-dos" / file.split("/")[1]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_page_instead_of_a_file(hub, cache):
    """As it is saved from a browser."""
    path = put(cache, CHECKPOINT, b"<!doctype html><title>lab-cosmo/pet-mad-dos</title>")
    with pytest.raises(ValueError, match=f"{path} is not a checkpoint, or incomplete"):
        locate("pet-mad-dos")
    assert files_in(cache) == ["pet-mad-dos/pet-mad-dos-v1.0.ckpt"]


def test_a_file_of_another_model(hub, repositories, cache):
    put(cache, CHECKPOINT, (repositories / MAD / ENERGIES).read_bytes())
    with pytest.raises(ValueError, match=r"pet-mad-dos cannot be made from .*-dos-v1.0.ckpt, .*needs the target"):
        locate("pet-mad-dos")
    put(cache, CHECKPOINT, (repositories / DOS / GAP).read_bytes())
    with pytest.raises(ValueError, match=r"expected a checkpoint of metatrain's architecture `pet`, got None"):
        locate("pet-mad-dos")
    assert files_in(cache) == ["pet-mad-dos/pet-mad-dos-v1.0.ckpt"]


def test_a_model_that_predicts_something_else(hub, repositories, cache):
    folder = cache / "pet-mad"
    folder.mkdir(parents=True)
    (folder / "pet-mad-s-v1.5.0.ckpt").write_bytes((repositories / DOS / CHECKPOINT).read_bytes())
    with pytest.raises(ValueError, match=r"expected the model pet-mad in .* does not predict energy"):
        locate("pet-mad")


def test_code_in_a_download_is_not_executed(hub, cache, tmp_path):
    """And not downloaded a second time in the hope of something better."""

    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    torch.save({"architecture_name": "pet", "model_data": Evil()}, tmp_path / "evil")
    hub.once[CHECKPOINT] = (tmp_path / "evil").read_bytes()
    with pytest.raises(UnsafeCheckpointError, match="it references"):
        locate("pet-mad-dos")
    assert not (tmp_path / "executed").exists()
    assert hub.downloads == [CHECKPOINT]


def test_a_file_that_is_gone(hub, repositories, cache, tmp_path):
    hub.folder = tmp_path / "elsewhere"
    (hub.folder / DOS).mkdir(parents=True)
    with pytest.raises(NotAvailableError, match=r"was not received \(.*404"):
        locate("pet-mad-dos")
    hub.folder = tmp_path / "nowhere"
    with pytest.raises(NotAvailableError, match=r"was not received \(.*404"):
        locate("pet-mad-dos")


def test_a_cache_that_cannot_be_written(hub, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("ELECTRAIN_CACHE", str(tmp_path / "file"))
    with pytest.raises(OSError, match=r"pet-mad-dos cannot be kept in .*; the environment variable ELECTRAIN_CACHE"):
        locate("pet-mad-dos")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"ELECTRAIN_CACHE": "/a/b"}, "/a/b/pet-mad"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/electrain/pet-mad"),
        ({"ELECTRAIN_CACHE": "~/d", "XDG_CACHE_HOME": "/c"}, "/home/me/d/pet-mad"),
        ({}, "/home/me/.cache/electrain/pet-mad"),
    ],
)
def test_the_folder(variables, expected, monkeypatch):
    for name in ("ELECTRAIN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **variables}.items():
        monkeypatch.setenv(name, value)
    assert str(known_models()["pet-mad"].folder) == expected
