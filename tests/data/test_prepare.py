"""Data sets on disk, read back the way metatrain does."""

import csv
import dataclasses
import hashlib
import json
import math

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from metatrain.cli.train import train_model
from metatrain.share.base_hypers import BaseHypers
from metatrain.utils.architectures import check_architecture_options, get_default_hypers
from metatrain.utils.data import CollateFn, DiskDataset, unpack_batch
from metatrain.utils.data.get_dataset import get_dataset
from metatrain.utils.omegaconf import expand_dataset_config
from omegaconf import OmegaConf
from pydantic import TypeAdapter
from real_calculations import SEMICONDUCTORS_AND_MOLECULES

from electrain import __version__
from electrain.data import NothingUsableError, SampledSpectrum, dos_target, prepare_dataset, read_extended_xyz
from electrain.data.recipes import recipe_for
from electrain.data.writing import format_for
from electrain.interface.axis_labels import labels_to_grid
from electrain.interface.quantities import ENERGY, FORCES, STRESS

DOCUMENTS = {"options.yaml", "manifest.json", "report.csv", "sources.csv", "structures.csv", "summary.png"}
pytestmark = pytest.mark.usefixtures("no_summary")

PARTS = ("train", "validation", "test")
TARGETS = {"mtt::dos", "mtt::bandgap", "mtt::efermi"}


def contents(folder):
    return {path.name for path in folder.iterdir()}


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def load(options, name):
    (expanded,) = expand_dataset_config(options[f"{name}_set"])
    return get_dataset(expanded)[:2]


@pytest.fixture
def prepared(ten_frames, write_frames, tmp_path):
    return prepare_dataset([write_frames(ten_frames)], tmp_path / "data", form="zip")


def test_every_file_is_there(prepared):
    assert contents(prepared.folder) == {f"{part}.zip" for part in PARTS} | DOCUMENTS
    assert [len(part) for part in prepared.parts.values()] == [8, 1, 1]


def test_samples_survive_the_round_trip(prepared):
    for name in PARTS:
        dataset = DiskDataset(prepared.folder / f"{name}.zip")
        calculations = list(prepared.calculations(name))
        assert len(dataset) == len(prepared.parts[name])
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
            assert energy.values.item() == pytest.approx(calculation.values[ENERGY])
            np.testing.assert_array_equal(energy.gradient("positions").values[..., 0], -calculation.values[FORCES])


@pytest.fixture
def mixed_frames(ten_frames):
    """Crystals, a slab and a molecule; some without energy, forces or band gap."""
    slab = ten_frames[4]
    slab.pbc = [True, True, False]
    ten_frames[5].pbc, ten_frames[5].cell = False, np.zeros((3, 3))
    ten_frames[1].calc = None
    ten_frames[2].calc = SinglePointCalculator(ten_frames[2], energy=-3.0)
    ten_frames[3].info.pop("bandgap")
    ten_frames[3].info.pop("n_electrons")
    return ten_frames


@pytest.mark.parametrize("form", ["xyz", "zip", "memmap"])
def test_metatrain_accepts_the_options_of_every_format(mixed_frames, write_frames, tmp_path, monkeypatch, form):
    prepared = prepare_dataset([write_frames(mixed_frames)], tmp_path / "data", form=form)
    monkeypatch.chdir(prepared.folder)  # where `mtt train options.yaml` runs
    options = OmegaConf.load("options.yaml")
    TypeAdapter(BaseHypers).validate_python(OmegaConf.to_container(options), strict=True)
    grid = options.architecture.model.energy_grid
    assert (grid.smearing, grid.reference, grid.max_shift) == (0.3, "Fermi level", 200)
    merged = OmegaConf.merge(get_default_hypers("pet_mad"), options.architecture)
    check_architecture_options("pet_mad", OmegaConf.to_container(merged))
    for name, part in {"training": "train", "validation": "validation", "test": "test"}.items():
        dataset, info = load(options, name)
        assert set(info) == TARGETS | {"energy"}
        assert info["mtt::bandgap"].unit == info["mtt::efermi"].unit == "eV"
        assert len(info["mtt::dos"].layout.block().properties) == grid.size
        assert len(dataset) == len(prepared.parts[part])


def test_all_formats_give_equal_targets(mixed_frames, write_frames, tmp_path, monkeypatch):
    source = write_frames(mixed_frames)
    read = {}
    for form in ("xyz", "zip", "memmap"):
        prepared = prepare_dataset([source], tmp_path / form, form=form)
        monkeypatch.chdir(prepared.folder)
        options = OmegaConf.load(prepared.folder / "options.yaml")
        read[form] = [sample for name in ("training", "validation", "test") for sample in load(options, name)[0]]
    precision = {"xyz": 1e-8, "memmap": 2e-6}  # eight digits after the point; single precision
    for form, tolerance in precision.items():
        close = {"rtol": tolerance, "atol": tolerance, "equal_nan": True}
        for found, expected in zip(read[form], read["zip"], strict=True):
            torch.testing.assert_close(found.system.positions, expected.system.positions, **close)
            torch.testing.assert_close(found.system.cell, expected.system.cell, **close)
            assert found.system.types.tolist() == expected.system.types.tolist()
            assert found.system.pbc.tolist() == expected.system.pbc.tolist()
            for name in (*TARGETS, "energy"):
                block, other = found[name].block(), expected[name].block()
                torch.testing.assert_close(block.values, other.values, **close)
                assert block.gradients_list() == other.gradients_list()
                for gradient in other.gradients_list():
                    values = block.gradient(gradient).values, other.gradient(gradient).values
                    torch.testing.assert_close(*values, **close)
    energies = torch.stack([sample["energy"].block().values for sample in read["zip"]])
    forces = torch.cat([sample["energy"].block().gradient("positions").values for sample in read["zip"]])
    assert (int(energies.isnan().sum()), int(forces[:, 0, 0].isnan().sum())) == (1, 4)
    assert sum(math.isnan(sample["mtt::bandgap"].block().values.item()) for sample in read["zip"]) == 1


def test_batches_join_with_nan_and_axis_intact(prepared):
    dataset = DiskDataset(prepared.folder / "train.zip", fields=["mtt::dos", "energy"])
    collate = CollateFn(target_keys=["mtt::dos", "energy"])
    systems, targets, _ = unpack_batch(collate([dataset[0], dataset[3], dataset[5]]))
    calculations = list(prepared.calculations("train"))
    assert len(systems) == 3
    values = targets["mtt::dos"].block().values
    for row, index in zip(values, (0, 3, 5), strict=True):
        expected = dos_target(calculations[index], prepared.axis)
        torch.testing.assert_close(row, expected, equal_nan=True)
    assert labels_to_grid(targets["mtt::dos"].block().properties).is_close(prepared.axis.grid)


@pytest.mark.parametrize("number, form", [(1000, "xyz"), (1001, "zip"), (100_000, "zip"), (100_001, "memmap")])
def test_the_format_follows_the_size(number, form):
    assert format_for(number) == form


def test_manifest_and_tables(prepared, tmp_path):
    manifest = json.loads((prepared.folder / "manifest.json").read_text())
    assert manifest["electrain_version"] == __version__
    assert manifest["command"].startswith(f"electrain prepare {tmp_path / 'frames.xyz'} --smearing 0.3 --step 0.05")
    for name in ("sources", "structures", "dropped"):
        file = prepared.folder / manifest[name]["table"]["file"]
        assert manifest[name]["table"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert manifest[name]["number"] == len(table(file))
    grid = prepared.axis.grid
    assert manifest["energy_grid"] == {"start": grid.start, "step": 0.05, "size": grid.size, "unit": "eV"}
    assert manifest["max_shift"] == {"channels": 200, "eV": 10.0}
    assert manifest["units"]["mtt::dos"] == "states/eV"
    assert manifest["split"]["number"] == {"train": 8, "validation": 1, "test": 1}
    source = hashlib.sha256((tmp_path / "frames.xyz").read_bytes()).hexdigest()
    expected = {"source": "frames.xyz", "sha256": source, "frames": "10", "used": "10"}
    assert table(prepared.folder / "sources.csv") == [expected]
    rows = table(prepared.folder / "structures.csv")
    assert [(row["part"], row["number"]) for row in rows[:9:8]] == [("train", "0"), ("validation", "0")]
    assert sorted(row["id"] for row in rows) == sorted(f"frame-{i}" for i in range(10))
    for row in rows:
        (calculation,) = [c for c in prepared.calculations(row["part"]) if c.name == row["id"]]
        assert row["source"] == "frames.xyz"
        assert f", frame {row['frame']}" in calculation.source
        assert float(row["lowest state (eV)"]) == pytest.approx(calculation.eigenvalues.min(), abs=1e-4)
        trusted = calculation.eigenvalues.max(axis=-1).min() - 0.9
        assert float(row["highest trusted energy (eV)"]) == pytest.approx(trusted, abs=1e-4)


def test_without_energies(ten_frames, write_frames, tmp_path):
    for frame in ten_frames:
        frame.calc = None
    prepared = prepare_dataset([write_frames(ten_frames)], tmp_path / "data", form="zip")
    assert prepared.contents == ()
    assert "energy" not in DiskDataset(prepared.folder / "train.zip")[0]._fields
    assert "energy:" not in (prepared.folder / "options.yaml").read_text()


def options_in(prepared):
    return OmegaConf.load(prepared.folder / "options.yaml")


def test_energies_are_learned_where_the_data_have_them(ten_frames, write_frames, tmp_path):
    some = [frame.copy() for frame in ten_frames]  # without calculators
    some[0].calc = ten_frames[0].calc
    prepared = prepare_dataset([write_frames(some)], tmp_path / "some")
    assert "energy" not in options_in(prepared).training_set.targets
    text = (prepared.folder / "options.yaml").read_text()
    assert "# Also in the files: energies and forces; NaN where unknown. Few structures have energies. To train" in text
    prepared = prepare_dataset([write_frames(ten_frames)], tmp_path / "all")
    options = options_in(prepared)
    assert options.training_set.targets.energy == {"quantity": "energy", "unit": "eV", "forces": True, "stress": False}
    pointwise = {"type": "huber", "weight": 0.1}
    expected = {"mtt::dos": {"per": "electron"}, "mtt::bandgap": pointwise, "mtt::efermi": pointwise}
    assert options.architecture.training.loss == {**expected, "energy": {"weight": 0.1, "forces": pointwise}}
    assert "Also in the files" not in (prepared.folder / "options.yaml").read_text()


def test_energies_of_several_codes_are_not_learned(other_codes, tmp_path):
    prepared = prepare_dataset(other_codes[:2], tmp_path / "data")
    assert "energy" not in options_in(prepared).training_set.targets
    text = " ".join((prepared.folder / "options.yaml").read_text().replace("#", "").split())
    assert "They come from several DFT codes, whose energies have different zeros." in text


@pytest.mark.parametrize("number", [1, 3, 50, 999, 1_000, 9_999, 10_000, 100_000])
def test_recipes(number):
    """Sizes grow with the number of structures, and all values are possible."""
    recipe, more = recipe_for(number), recipe_for(10 * number)
    assert 1 <= recipe.batch_size <= number
    assert recipe.warmup_epochs < recipe.num_epochs
    assert recipe.halving_epochs is None or recipe.halving_epochs < recipe.num_epochs
    assert recipe.learning_rate >= more.learning_rate
    widths = [each.network.get("edge_width", 256) for each in (recipe, more)]
    assert widths[0] <= widths[1]
    assert 19 <= recipe.num_epochs / recipe.checkpoint_interval <= 40


def test_options_that_fine_tune_a_model(ten_frames, write_frames, tmp_path):
    grid = {"start": -20.0, "step": 0.05, "size": 900, "max_shift": 20, "smearing": 0.3}
    torch.save({"model_data": {"model_hypers": {"energy_grid": grid}}}, tmp_path / "base.ckpt")
    prepared = prepare_dataset([write_frames(ten_frames)], tmp_path / "data", like=tmp_path / "base.ckpt")
    options = options_in(prepared).architecture
    assert options.training.finetune == {"read_from": str(tmp_path / "base.ckpt"), "method": "full"}
    assert set(options.model) == {"energy_grid"}  # every other option is that of the model
    assert {name: options.model.energy_grid[name] for name in grid} == grid


def test_without_a_test_set(prepared, tmp_path):
    paths = [str(tmp_path / "frames.xyz")], str(prepared.folder)  # paths may be text
    again = prepare_dataset(*paths, split=(9, 1, 0), form="zip", overwrite=True)
    assert contents(again.folder) == {"train.zip", "validation.zip"} | DOCUMENTS
    assert "test_set" not in OmegaConf.load(again.folder / "options.yaml")


def test_another_format_replaces_the_old_files(prepared, tmp_path):
    (prepared.folder / "notes.txt").write_text("mine")
    again = prepare_dataset([tmp_path / "frames.xyz"], prepared.folder, form="memmap", overwrite=True)
    assert contents(again.folder) == {*PARTS, "notes.txt"} | DOCUMENTS
    once_more = prepare_dataset([tmp_path / "frames.xyz"], prepared.folder, form="memmap", overwrite=True)
    assert contents(once_more.folder) == {*PARTS, "notes.txt"} | DOCUMENTS


def test_a_single_calculation(make_frame, write_frames, tmp_path, monkeypatch):
    prepared = prepare_dataset([write_frames([make_frame()])], tmp_path / "data", form="zip")
    assert contents(prepared.folder) == {"train.zip"} | DOCUMENTS
    assert prepared.split.validates_on_training_set
    monkeypatch.chdir(prepared.folder)
    options = OmegaConf.load("options.yaml")
    assert "their errors say nothing" in (prepared.folder / "options.yaml").read_text()
    assert len(load(options, "training")[0]) == len(load(options, "validation")[0]) == 1
    assert "test_set" not in options
    assert options.architecture.training.batch_size == 1


def test_a_folder_with_files_is_not_touched(prepared, tmp_path):
    with pytest.raises(FileExistsError, match="expected a new or empty folder, but there are files in"):
        prepare_dataset([tmp_path / "frames.xyz"], prepared.folder)


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
    (row,) = table(prepared.folder / "report.csv")
    assert (row["source"], row["frame"], row["reason"]) == ("frames.xyz", "3", rejected.reason)


def filled_bands_only(frame):
    """Two bands, whose top is trusted up to 0.4 eV below the Fermi level."""
    levels = np.array([[-1.0, -0.5, 0.5], [-1.0, -0.6, 0.6]])
    frame.info |= {"eigenvalues": levels, "kweights": [1.0, 1.0], "n_electrons": 4.0}


@pytest.mark.parametrize("policy", ["drop", "keep"])
def test_missing_bands(ten_frames, write_frames, tmp_path, policy):
    filled_bands_only(ten_frames[3])
    prepared = prepare_dataset([write_frames(ten_frames)], tmp_path / "data", missing_bands=policy)
    manifest = json.loads((prepared.folder / "manifest.json").read_text())
    number = int(policy == "keep")
    assert manifest["missing_bands"] == {"policy": policy, "number": number}
    assert (prepared.num_missing_bands, len(prepared.rejected)) == (number, 1 - number)
    if policy == "drop":
        assert prepared.rejected[0].reason == (
            "expected enough bands to trust the density of states up to the Fermi level, got 3 that can be trusted "
            "up to -0.40 eV from it"
        )


def test_copies_are_left_out(ten_frames, write_frames, tmp_path):
    filled_bands_only(ten_frames[2])
    sources = [write_frames(ten_frames, "a.xyz"), write_frames([ten_frames[1], ten_frames[2]], "b.xyz")]
    ten_frames[2].rattle(0.1)
    prepared = prepare_dataset(sources, tmp_path / "data")
    # The copy of what is left out itself has its own reason.
    assert [(frame.source, frame.reason[:27]) for frame in prepared.rejected] == [
        ("a.xyz, frame 2", "expected enough bands to tr"),
        ("b.xyz, frame 0", "the same structure as a.xyz"),
        ("b.xyz, frame 1", "expected enough bands to tr"),
    ]
    assert prepared.rejected[1].reason.endswith("a.xyz, frame 1")
    assert [row["used"] for row in table(prepared.folder / "sources.csv")] == ["9", "0"]


@pytest.fixture
def other_codes(ten_frames, write_frames, monkeypatch):
    """Files of a code each, the last of which gives densities of states on a coarse grid; their paths."""
    energies = np.linspace(-12.0, 8.0, 201)

    def read(path, **_):
        for frame in read_extended_xyz(path):
            if path.name == "c.xyz":
                states = np.exp(-0.5 * ((energies + 3.0) / 0.5) ** 2)
                yield SampledSpectrum(
                    frame.atoms, energies, np.stack([states, states]), 0.0, 1.0, frame.source, "code C"
                )
            else:
                yield dataclasses.replace(
                    frame, code=f"code {path.stem.upper()}", values={**frame.values, STRESS: np.eye(3)}
                )

    monkeypatch.setattr("electrain.data.sources.has_frames", lambda path: False)
    monkeypatch.setattr("electrain.data.work_folder.has_frames", lambda path: False)
    monkeypatch.setattr("electrain.data.sources.read_calculations", read)
    monkeypatch.setattr("electrain.data.prepare.read_calculations", read)
    cuts = {"a.xyz": slice(0, 5), "b.xyz": slice(5, 8), "c.xyz": slice(8, 10)}
    return [write_frames(ten_frames[part], name) for name, part in cuts.items()]


def test_files_of_other_codes(other_codes, tmp_path):
    prepared = prepare_dataset(other_codes, tmp_path / "data", form="zip")
    manifest = json.loads((prepared.folder / "manifest.json").read_text())
    assert manifest["codes"] == {"code A": 5, "code B": 3, "code C": 2}
    assert manifest["unknown_smearing"] == 2
    assert manifest["units"]["stress"] == "eV/angstrom^3"
    rows = table(prepared.folder / "structures.csv")
    assert sorted(row["code"] for row in rows) == ["code A"] * 5 + ["code B"] * 3 + ["code C"] * 2
    for row in rows:
        sample = DiskDataset(prepared.path(row["part"]))[int(row["number"])]
        energy, dos = sample["energy"].block(), sample["mtt::dos"].block().values[0]
        if row["code"] != "code C":
            assert row["spins"] == "unpolarised"
            strain = energy.gradient("strain").values[0, ..., 0]
            np.testing.assert_allclose(strain, np.eye(3) * abs(np.linalg.det(sample.system.cell)))
            continue
        assert row["spins"] == "collinear"
        assert energy.values.isnan().all()
        counted = prepared.axis.grid.step * float(dos.nansum())
        assert counted == pytest.approx(2 * 0.5 * math.sqrt(2 * math.pi), abs=1e-6)
        trusted = prepared.axis.grid.energies()[~dos.isnan()]
        assert trusted[-1].item() == pytest.approx(1.0)
        with pytest.raises(ValueError, match="expected eigenvalues, got none"):
            list(prepared.calculations(row["part"]))


def test_a_missing_package_is_no_broken_file(ten_frames, write_frames, tmp_path, monkeypatch):
    def read(path, **_):
        raise ImportError("reading this needs pymatgen: pip install electrain[pymatgen]")
        yield

    monkeypatch.setattr("electrain.data.sources.read_calculations", read)
    with pytest.raises(ImportError, match="reading this needs pymatgen"):
        prepare_dataset([write_frames(ten_frames)], tmp_path / "data")


def test_a_chosen_grid(ten_frames, write_frames, tmp_path):
    lowest = sorted(frame.info["eigenvalues"].min() for frame in ten_frames)
    assert lowest[0] < -7.9 < lowest[-1]
    prepared = prepare_dataset([write_frames(ten_frames)], tmp_path / "data", grid=(-9.4, 40.0))
    assert prepared.axis.target_grid.start == pytest.approx(-9.4)
    assert prepared.axis.grid.stop == pytest.approx(40.0)
    assert len(prepared.rejected) == sum(low < -7.9 for low in lowest)
    assert prepared.rejected[0].reason.startswith("expected no state below -7.90 eV (from the Fermi level), where the")


def test_relatives_stay_on_one_side(make_frame, write_frames, tmp_path):
    frames = []
    for index in range(40):
        atoms = Atoms("SiC", positions=[[0, 0, 0], [1.7, 0.01 * index, 0]], cell=[6, 6, 6], pbc=True)
        parent, subset = f"p{index // 4}", "bulk" if index % 4 else "rattled"
        frames.append(make_frame(atoms, seed=index, parent=parent, subset=subset))
    prepared = prepare_dataset([write_frames(frames)], tmp_path / "data")
    parents = [{row.identity.parent for row in rows} for rows in prepared.parts.values()]
    assert [len(names) for names in parents] == [8, 1, 1]
    assert len(set.union(*parents)) == 10
    for rows in prepared.parts.values():
        assert sum(row.identity.subset == "rattled" for row in rows) == len(rows) / 4


def test_memory_mapped_single_atoms(ten_frames, make_frame, write_frames, tmp_path):
    frames = [make_frame(Atoms("Si", cell=[4 + i, 4, 4], pbc=True), seed=i) for i in range(10)]
    with pytest.raises(ValueError, match="more than one atom in the train set, which metatrain's memory-mapped"):
        prepare_dataset([write_frames(frames)], tmp_path / "data", form="memmap")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"missing_bands": "maybe"}, "expected drop or keep for structures with missing bands, got 'maybe'"),
        ({"form": "hdf5"}, "expected a format, one of xyz, zip, memmap, got 'hdf5'"),
        ({"workers": 0}, "expected at least one worker, got 0"),
        ({"grid": (3.0, 2.0)}, "expected an energy grid from a lower to a higher energy in eV, got 3 to 2"),
    ],
)
def test_settings_that_make_no_sense(ten_frames, write_frames, tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        prepare_dataset([write_frames(ten_frames)], tmp_path / "data", **settings)
    assert not (tmp_path / "data").exists()


def test_real_calculations_pass_every_check():
    frames = list(read_extended_xyz(SEMICONDUCTORS_AND_MOLECULES))
    assert len(frames) == 125
    assert all(frame.num_electrons and frame.values[ENERGY] and FORCES in frame.values for frame in frames)
    assert len({symbol for frame in frames for symbol in frame.atoms.symbols}) == 22


def test_mtt_trains_alike_on_every_format(mixed_frames, write_frames, tmp_path, monkeypatch):
    source = write_frames(mixed_frames)
    widths = dict.fromkeys(("edge_width", "node_width", "head_width", "feedforward_width"), 8)
    errors = {}
    for form in ("xyz", "zip", "memmap"):
        prepared = prepare_dataset([source], tmp_path / form, form=form)
        monkeypatch.chdir(prepared.folder)
        options = OmegaConf.load(prepared.folder / "options.yaml")
        options.seed, options.base_precision = 0, 64
        options.architecture.model |= {**widths, "num_heads": 1}
        options.architecture.training |= {"num_epochs": 1, "num_workers": 0}
        train_model(options, output="model.pt", checkpoint_dir=".")
        errors[form] = torch.load("model.ckpt", weights_only=False)["best_metric"]
    assert math.isfinite(errors["zip"])
    assert errors["xyz"] == pytest.approx(errors["zip"], rel=1e-6)
    assert errors["memmap"] == pytest.approx(errors["zip"], rel=1e-5)
