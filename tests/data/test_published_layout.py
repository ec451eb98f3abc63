"""Densities of states as in the published data of PET-MAD-DOS, and data sets with the axis of a model."""

import json
import math
import re

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from metatrain.utils.data import DiskDataset
from small_models import GRID
from typer.testing import CliRunner

from electrain.cli import app
from electrain.data import NothingUsableError, prepare_dataset, read_calculations
from electrain.data.axis_choice import AxisChoice, axis_of_model
from electrain.data.sampled_spectrum import DosGrid, SampledSpectrum
from electrain.interface.axis_labels import labels_to_grid
from electrain.pretrained import locate
from electrain.spectra.axis import PET_MAD_DOS_AXIS, EnergyAxis

pytestmark = pytest.mark.usefixtures("no_summary")

START, STEP, SMEARING, SIZE = -149.6456, 0.05, 0.3, 4606
GIVEN = START + STEP * np.arange(SIZE)
NAMES = ["Si2", "C2", "Ge2", "SiC", "Sn2", "AlP", "Al2", "P2", "SiGe", "SnC"]


def smeared(calculation, energies):
    """Density of states of made-up bands, one Gaussian after the other."""
    total = np.zeros(len(energies))
    for weight, bands in zip(calculation.weights, calculation.eigenvalues[0], strict=True):
        for energy in bands:
            total += weight * np.exp(-0.5 * ((energies - energy) / SMEARING) ** 2)
    return total / (math.sqrt(2 * math.pi) * SMEARING)


@pytest.fixture
def published(make_calculation):
    """Make a frame of the published data; keyword arguments replace or (``None``) remove keys."""

    def make(seed=0, energies=GIVEN, **changes):
        calculation = make_calculation(seed=seed)
        name = NAMES[seed % len(NAMES)]
        atoms = Atoms(name, positions=[[0, 0, 0], [2.2 + 0.01 * seed, 0, 0]], cell=[6, 6, 6], pbc=True)
        highest = calculation.eigenvalues[0, :, -1].min() - 3 * SMEARING
        info = {
            "number_of_electrons": 8.0,
            "gap": 2.0,
            "DOS": smeared(calculation, energies).astype(np.float32),
            "mask": (energies <= highest).astype(int),
            "DOSEf": 0.0,
        }
        atoms.info = {key: value for key, value in (info | changes).items() if value is not None}
        forces = np.random.default_rng(seed).normal(size=(2, 3))
        atoms.calc = SinglePointCalculator(atoms, energy=-10.0 - seed, forces=forces)
        return atoms

    return make


@pytest.fixture
def ten(published, write_frames):
    return write_frames([published(seed) for seed in range(10)])


def test_it_is_taken_as_it_is(ten, published, tmp_path):
    prepared = prepare_dataset([ten], tmp_path / "data", layout="mad", form="zip")
    axis = prepared.axis
    assert axis.is_compatible(PET_MAD_DOS_AXIS) and axis.smearing == 0.3
    assert (axis.target_grid.start, axis.target_grid.size) == (pytest.approx(START, abs=1e-9), SIZE)
    for part, rows in prepared.parts.items():
        for row, sample in zip(rows, DiskDataset(prepared.path(part)), strict=True):
            frame = published(row.frame)
            block = sample["mtt::dos"].block()
            assert labels_to_grid(block.properties).is_close(axis.grid)
            dos, trusted = block.values[0].numpy(), frame.info["mask"] == 1
            assert (dos[:200] == 0).all()
            np.testing.assert_array_equal(dos[200:][trusted], frame.info["DOS"][trusted].astype(np.float64))
            assert np.isnan(dos[200:][~trusted]).all() and (~trusted).any()
            assert sample["mtt::bandgap"].block().values.item() == 2.0
            assert sample["mtt::efermi"].block().values.item() == 0.0
            assert sample["energy"].block().values.item() == -10.0 - row.frame
            forces = -sample["energy"].block().gradient("positions").values[..., 0].numpy()
            np.testing.assert_allclose(forces, frame.get_forces(), atol=1e-7)  # as many digits as ASE writes
            assert (row.num_electrons, row.has_unknown_smearing) == (8.0, False)
            assert row.lowest == pytest.approx(-8.0, abs=1.2)  # above the tail, so that the axis has room
    manifest = json.loads((prepared.folder / "manifest.json").read_text())
    assert manifest["command"].endswith("--layout mad --split 8:1:1 --seed 0 --missing-bands keep --format zip")
    assert "given" in manifest["reference"]


def test_eigenvalues_beside_it(ten, make_frame, write_frames, published, make_calculation, tmp_path):
    """Both end on the same channels, broadened in the same way."""
    atoms = published(3)
    calculation = make_calculation(seed=3)
    frame = make_frame(
        Atoms("SiC", positions=[[0, 0, 0], [1.9, 0, 0]], cell=[6, 6, 6], pbc=True),
        seed=3,
        eigenvalues=calculation.eigenvalues[0],
        kweights=calculation.weights,
    )
    other = write_frames([frame], "other.xyz")
    prepared = prepare_dataset([ten, other], tmp_path / "data", layout="mad", form="zip")
    rows = [(row, part, i) for part, rows in prepared.parts.items() for i, row in enumerate(rows)]
    (part, i) = next((part, i) for row, part, i in rows if row.source == 1)
    dos = DiskDataset(prepared.path(part))[i]["mtt::dos"].block().values[0, 200:].numpy()
    trusted = atoms.info["mask"] == 1
    np.testing.assert_allclose(dos[trusted], atoms.info["DOS"][trusted], rtol=1e-6, atol=1e-6)
    assert np.isnan(dos[~trusted]).all()


def test_another_grid(published, write_frames, tmp_path):
    """Fitted to the data, on the channels that the file has."""
    energies = -20.013 + 0.1 * np.arange(400)
    path = write_frames([published(seed, energies) for seed in range(10)])
    prepared = prepare_dataset([path], tmp_path / "data", dos_grid=(-20.013, 0.1), smearing=0.3, form="zip")
    grid = prepared.axis.grid
    assert grid.step == 0.1 and prepared.axis.max_shift == 100
    offset = (grid.start + 20.013) / 0.1
    assert abs(offset - round(offset)) < 1e-6
    for part, rows in prepared.parts.items():
        for row, sample in zip(rows, DiskDataset(prepared.path(part)), strict=True):
            frame, dos = published(row.frame, energies), sample["mtt::dos"].block().values[0].numpy()
            expected = dict(zip(np.round(energies, 3).tolist(), frame.info["DOS"].tolist(), strict=True))
            trusted = ~np.isnan(dos)
            tail = math.exp(-0.5 * 5**2) * float(frame.info["DOS"].max())  # that the axis has no room for
            for energy, value in zip(grid.energies().numpy()[trusted], dos[trusted], strict=True):
                assert value == pytest.approx(expected.get(round(float(energy), 3), 0.0), abs=tail)
            assert dos[trusted].sum() > 50


@pytest.mark.parametrize(("electrons", "is_right"), [(7.7, False), (7.9, True), (8.0, True), (8.1, True), (8.3, False)])
def test_electrons_are_counted(published, write_frames, electrons, is_right):
    """There are no states within a smearing of the Fermi level, so the count must be right to 0.15 electrons."""
    path = write_frames([published(2, number_of_electrons=electrons)])
    (frame,) = read_calculations(path, dos_grid=DosGrid(START, STEP, SMEARING))
    assert isinstance(frame, SampledSpectrum) == is_right
    if is_right:
        assert frame.num_states([0.0])[0] == pytest.approx(8.0, abs=0.02)
    else:
        assert f"expected {electrons:g} electrons, but the density of states up to the Fermi level" in frame.reason


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mask": None}, "expected the key 'mask', 1 where the density of states can be trusted, got none"),
        ({"mask": np.zeros(SIZE, int)}, "expected a mask of ones up to an energy and zeros above"),
        ({"mask": (np.arange(SIZE) > 2000).astype(int)}, "expected a mask of ones up to an energy and zeros above"),
        ({"mask": np.ones(100, int)}, r"expected numbers of shape \(4606,\) for 'mask', got shape \(100,\)"),
        ({"number_of_electrons": 10.0}, r"expected 10 electrons, but the density of states up to the Fermi level "),
        ({"DOS": np.zeros(SIZE)}, "expected a density of states with states, got none"),
        ({"DOS": np.full(SIZE, np.nan)}, "expected a finite density of states"),
        ({"DOS": "none"}, "expected an array of numbers for 'DOS', got 'none'"),
        ({"gap": -1.0}, "expected a band gap of at least 0 eV, got -1"),
        ({"gap": np.inf}, "expected a finite band gap in eV, got inf"),
        ({"gap": "wide"}, "expected an array of numbers for 'gap', got 'wide'"),
    ],
)
def test_what_cannot_be_right_is_refused(published, write_frames, tmp_path, changes, message):
    path = write_frames([published(**changes)])
    with pytest.raises(NothingUsableError) as raised:
        prepare_dataset([path], tmp_path / "data", layout="mad")
    (rejected,) = raised.value.rejected
    assert re.search(message, rejected.reason), rejected.reason


def test_the_energies_must_be_known(ten):
    (first, *_) = read_calculations(ten)
    assert "use --layout mad for the data of PET-MAD-DOS, --dos-grid START STEP" in first.reason
    (first, *_) = read_calculations(ten, dos_grid=DosGrid(START, STEP, SMEARING))
    assert first.num_electrons == 8.0


def test_of_copies_the_one_with_more_bands_stays(published, write_frames, tmp_path):
    """As in the published set, in which some structures were computed again with more bands."""
    fewer = published(0, mask=(GIVEN < 1.0).astype(int))
    path = write_frames([fewer, *[published(seed) for seed in range(10)]])
    prepared = prepare_dataset([path], tmp_path / "data", layout="mad")
    assert [frame.source for frame in prepared.rejected] == ["frames.xyz, frame 0"]


def test_structures_with_too_few_bands_are_kept_as_published(published, write_frames, tmp_path):
    path = write_frames([*[published(seed) for seed in range(9)], published(9, mask=(GIVEN < -3.0).astype(int))])
    assert prepare_dataset([path], tmp_path / "kept", layout="mad").num_missing_bands == 1
    dropped = prepare_dataset([path], tmp_path / "dropped", layout="mad", missing_bands="drop")
    assert dropped.rejected[0].reason == (
        "expected a density of states that can be trusted up to the Fermi level, got one that ends -3.05 eV from it"
    )


def test_the_axis_of_an_exported_model(model_file, ten_frames, write_frames, tmp_path):
    theirs = EnergyAxis.from_dict(GRID)
    smearing = {"smearing": 0.3} if theirs.smearing is None else {}
    prepared = prepare_dataset([write_frames(ten_frames)], tmp_path / "data", like=model_file, form="zip", **smearing)
    assert prepared.axis.is_compatible(theirs)
    manifest = json.loads((prepared.folder / "manifest.json").read_text())
    assert f"--like {model_file}" in manifest["command"]


def test_the_axis_of_a_checkpoint(tmp_path, ten_frames, write_frames):
    grid = {"start": -159.6456, "step": 0.05, "size": 4806, "max_shift": 200, "smearing": 0.3}
    path = tmp_path / "published.ckpt"
    torch.save({"model_data": {"model_hypers": {"energy_grid": grid}}}, path)
    assert axis_of_model(path) == EnergyAxis.from_dict(grid)
    both = AxisChoice(layout="mad", like=locate(path)).settings()
    assert both == AxisChoice(layout="mad").settings()
    result = CliRunner().invoke(
        app, ["prepare", str(write_frames(ten_frames)), "-o", str(tmp_path / "data"), "--like", str(path)]
    )
    assert result.exit_code == 0, result.output
    assert "energy axis     -159.646 ... 80.6044 eV in steps of 0.05 eV (4806 channels)" in result.output


def test_it_is_moved_to_the_channels_of_a_model(ten, make_calculation, tmp_path):
    grid = {"start": -20.0, "step": 0.05, "size": 900, "max_shift": 20, "smearing": 0.3}
    path = tmp_path / "model.ckpt"
    torch.save({"model_data": {"model_hypers": {"energy_grid": grid}}}, path)
    prepared = prepare_dataset([ten], tmp_path / "data", layout="mad", like=path, form="zip")
    energies = prepared.axis.target_grid.energies().numpy()
    assert prepared.axis.is_compatible(EnergyAxis.from_dict(grid))
    for part, rows in prepared.parts.items():
        for row, sample in zip(rows, DiskDataset(prepared.path(part)), strict=True):
            dos = sample["mtt::dos"].block().values[0, 20:].numpy()
            trusted = np.isfinite(dos)
            expected = smeared(make_calculation(seed=row.frame), energies)
            assert trusted.any() and not trusted.all()
            # a mean over two half channels: h^2 / 8 times the curvature, at most 1 / sigma^2 of the height
            np.testing.assert_allclose(
                dos[trusted], expected[trusted], atol=(STEP / SMEARING) ** 2 / 8 * expected.max()
            )
            assert dos[trusted].sum() == pytest.approx(expected[trusted].sum(), rel=1e-4)


@pytest.mark.parametrize(
    ("grid", "choice", "message"),
    [
        (None, {}, "expected a model with an energy axis, but .*model.ckpt has none"),
        ({}, {"step": 0.1}, "expected no step beside the axis of .*, which determines that already"),
        ({}, {"smearing": 0.2}, "expected no smearing beside that of .*, 0.3 eV, which determines that already"),
        ({"smearing": None}, {}, "does not contain the smearing of its targets; give it, too"),
        ({"reference": "vacuum"}, {}, "relative to the Fermi level, but that of .* is relative to the vacuum"),
        ({"step": 0.1}, {"layout": "mad"}, "with the step and smearing of .*, 0.1 and 0.3 eV, got 0.05 and 0.3 eV"),
        ({}, {"layout": "mad", "dos_grid": (0, 0.05)}, "expected no dos grid beside the layout mad"),
    ],
)
def test_axes_that_do_not_fit(tmp_path, grid, choice, message):
    path = tmp_path / "model.ckpt"
    axis = {"start": -20.0, "step": 0.05, "size": 900, "max_shift": 20, "smearing": 0.3}
    hypers = {"energy_grid": None if grid is None else axis | grid}
    torch.save({"model_data": {"model_hypers": hypers}}, path)
    with pytest.raises(ValueError, match=message):
        AxisChoice(like=locate(path), **choice).settings()


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"layout": "nomad"}, "expected a layout, one of mad, got 'nomad'"),
        ({"layout": "mad", "smearing": 0.2}, "expected no smearing beside the layout mad"),
        ({"dos_grid": (-20, 0.1), "step": 0.05}, "expected no step beside the grid of the densities of states"),
        ({"dos_grid": (-20.00000001, 0.1)}, "must be multiples of 1e-6 eV"),
        ({"dos_grid": (-20.0, 0.5)}, "expected a step of at most the smearing, 0.3 eV"),
    ],
)
def test_choices_that_contradict_each_other(choice, message):
    with pytest.raises(ValueError, match=message):
        AxisChoice(**choice).settings()


def test_a_model_that_does_not_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"missing.ckpt does not exist"):
        prepare_dataset([tmp_path], tmp_path / "data", like=tmp_path / "missing.ckpt")
