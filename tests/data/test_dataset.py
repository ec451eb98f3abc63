"""Data sets on disk, read back the way metatrain does."""

import hashlib
import json
import math

import numpy as np
import pytest
import torch
from metatrain.share.base_hypers import BaseHypers
from metatrain.utils.architectures import check_architecture_options, get_default_hypers
from metatrain.utils.data import CollateFn, DiskDataset, unpack_batch
from metatrain.utils.data.get_dataset import get_dataset
from metatrain.utils.omegaconf import expand_dataset_config
from omegaconf import OmegaConf
from pydantic import TypeAdapter

from electrain import __version__
from electrain.axis_labels import labels_to_grid
from electrain.data import NothingUsableError, dos_target, prepare_dataset, read_extended_xyz
from electrain.demo_data import SEMICONDUCTORS_AND_MOLECULES

FILES = {"train.zip", "validation.zip", "test.zip", "options.yaml", "manifest.json", "report.txt"}


def contents(folder):
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def prepared(ten_frames, write_frames, tmp_path):
    return prepare_dataset([write_frames(ten_frames)], tmp_path / "data")


def test_every_file_is_there(prepared):
    assert contents(prepared.folder) == FILES
    assert [len(part) for part in prepared.parts.values()] == [8, 1, 1]


def test_samples_survive_the_round_trip(prepared):
    for name, calculations in prepared.parts.items():
        dataset = DiskDataset(prepared.folder / f"{name}.zip")
        assert len(dataset) == len(calculations)
        for sample, calculation in zip(dataset, calculations, strict=True):
            assert sample.system.types.tolist() == calculation.atoms.numbers.tolist()
            np.testing.assert_array_equal(sample.system.positions, calculation.atoms.positions)
            block = sample["mtt::dos"].block()
            assert labels_to_grid(block.properties).is_close(prepared.axis.grid)
            expected = dos_target(calculation, prepared.axis)
            assert expected.isnan().any()
            torch.testing.assert_close(block.values[0], expected, equal_nan=True, rtol=0, atol=0)
            assert sample["mtt::bandgap"].block().values.item() == 1.5
            assert sample["mtt::efermi"].block().values.item() == 0.0
            energy = sample["energy"].block()
            assert energy.values.item() == pytest.approx(calculation.energy)
            np.testing.assert_array_equal(energy.gradient("positions").values[..., 0], -calculation.forces)


def test_metatrain_accepts_the_options(prepared, monkeypatch):
    monkeypatch.chdir(prepared.folder)  # where `mtt train options.yaml` runs
    options = OmegaConf.load("options.yaml")
    TypeAdapter(BaseHypers).validate_python(OmegaConf.to_container(options), strict=True)
    grid = options.architecture.model.energy_grid
    assert (grid.smearing, grid.reference, grid.max_shift) == (0.3, "Fermi level", 200)
    merged = OmegaConf.merge(get_default_hypers("pet_mad"), options.architecture)
    check_architecture_options("pet_mad", OmegaConf.to_container(merged))
    for name in ("training", "validation", "test"):
        (expanded,) = expand_dataset_config(options[f"{name}_set"])
        dataset, info, _ = get_dataset(expanded)
        assert set(info) == {"mtt::dos", "mtt::bandgap", "mtt::efermi"}
        assert info["mtt::bandgap"].unit == info["mtt::efermi"].unit == "eV"
        axis = labels_to_grid(info["mtt::dos"].layout.block().properties)
        assert (axis.start, axis.step, axis.size) == pytest.approx((grid.start, grid.step, grid.size))
        assert dataset.get_all_atom_counts().tolist() == [len(sample.system) for sample in dataset]


def test_batches_join_with_nan_and_axis_intact(prepared):
    dataset = DiskDataset(prepared.folder / "train.zip", fields=["mtt::dos", "energy"])
    collate = CollateFn(target_keys=["mtt::dos", "energy"])
    systems, targets, _ = unpack_batch(collate([dataset[0], dataset[3], dataset[5]]))
    assert len(systems) == 3
    values = targets["mtt::dos"].block().values
    for row, index in zip(values, (0, 3, 5), strict=True):
        expected = dos_target(prepared.parts["train"][index], prepared.axis)
        torch.testing.assert_close(row, expected, equal_nan=True)
    assert labels_to_grid(targets["mtt::dos"].block().properties).is_close(prepared.axis.grid)


def test_the_options_for_energies_work_once_uncommented(prepared, monkeypatch):
    monkeypatch.chdir(prepared.folder)
    lines = (prepared.folder / "options.yaml").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if "# energy:" in line)
    lines[start : start + 5] = [line.replace("# ", "", 1) for line in lines[start : start + 5]]
    (expanded,) = expand_dataset_config(OmegaConf.create("\n".join(lines)).training_set)
    _, info, _ = get_dataset(expanded)
    assert info["energy"].gradients == ["positions"]
    assert not expanded.targets.energy.stress


def test_manifest(prepared, tmp_path):
    manifest = json.loads((prepared.folder / "manifest.json").read_text())
    source = tmp_path / "frames.xyz"
    assert manifest["electrain_version"] == __version__
    assert manifest["sources"] == [
        {
            "name": "frames.xyz",
            "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
            "num_frames": 10,
        }
    ]
    grid = prepared.axis.grid
    assert manifest["energy_grid"] == {"start": grid.start, "step": 0.05, "size": grid.size, "unit": "eV"}
    assert manifest["max_shift"] == {"channels": 200, "eV": 10.0}
    assert manifest["units"]["mtt::dos"] == "states/eV"
    names = [name for part in ("train", "validation", "test") for name in manifest["split"][part]]
    assert sorted(names) == sorted(f"frame-{i}" for i in range(10))


def test_what_is_unknown_is_nan_or_left_out(ten_frames, write_frames, tmp_path):
    for frame in ten_frames[:5]:
        frame.info.pop("bandgap")
        frame.info.pop("n_electrons")
    ten_frames[0].calc = None
    prepared = prepare_dataset([write_frames(ten_frames)], tmp_path / "data")
    samples = [sample for name in prepared.parts for sample in DiskDataset(prepared.folder / f"{name}.zip")]
    assert sum(math.isnan(sample["mtt::bandgap"].block().values.item()) for sample in samples) == 5
    assert not (prepared.has_energy or prepared.has_forces)
    assert "energy" not in samples[0]._fields
    assert "energy:" not in (prepared.folder / "options.yaml").read_text()


def test_without_a_test_set(prepared, tmp_path):
    again = prepare_dataset([tmp_path / "frames.xyz"], prepared.folder, shares=(9, 1, 0), overwrite=True)
    assert contents(again.folder) == FILES - {"test.zip"}
    assert "test_set" not in OmegaConf.load(again.folder / "options.yaml")


def test_a_folder_with_files_is_not_touched(prepared, tmp_path):
    with pytest.raises(FileExistsError, match="expected a new or empty folder, but there are files in"):
        prepare_dataset([tmp_path / "frames.xyz"], prepared.folder)


@pytest.mark.parametrize("existed", [False, True])
def test_nothing_is_left_half_written(ten_frames, write_frames, tmp_path, monkeypatch, existed):
    path = write_frames(ten_frames)
    folder = tmp_path / "data"
    if existed:
        folder.mkdir()
        (folder / "train.zip").write_text("old")

    def fail(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr("electrain.data.dataset.options_yaml", fail)
    with pytest.raises(OSError, match="no space left"):
        prepare_dataset([path], folder, overwrite=True)
    assert folder.exists() == existed
    if existed:
        assert contents(folder) == {"train.zip"}
        assert (folder / "train.zip").read_text() == "old"


def test_nothing_usable(make_frame, write_frames, tmp_path):
    path = write_frames([make_frame(kweights=None), make_frame(n_electrons=20.0)])
    with pytest.raises(NothingUsableError, match="but all 2 were rejected") as error:
        prepare_dataset([path], tmp_path / "data")
    assert [frame.source for frame in error.value.rejected] == ["frames.xyz, frame 0", "frames.xyz, frame 1"]
    assert not (tmp_path / "data").exists()


def test_frames_without_a_trusted_range_are_left_out(ten_frames, write_frames, tmp_path):
    frame = ten_frames[3]
    frame.info |= {"eigenvalues": np.array([[-2.0, -1.9]]), "kweights": [2.0], "n_electrons": 4.0}
    prepared = prepare_dataset([write_frames(ten_frames)], tmp_path / "data")
    (rejected,) = prepared.rejected
    assert rejected.source == "frames.xyz, frame 3"
    assert rejected.reason.startswith("expected enough bands")
    report = (prepared.folder / "report.txt").read_text()
    assert report.startswith("9 frames used, 1 left out\n\nframes.xyz, frame 3: expected enough bands")


def test_the_demo_data_pass_every_check():
    frames = list(read_extended_xyz(SEMICONDUCTORS_AND_MOLECULES))
    assert len(frames) == 125
    assert all(frame.num_electrons and frame.energy and frame.forces is not None for frame in frames)
    assert len({symbol for frame in frames for symbol in frame.atoms.symbols}) == 22
