"""`electrain evaluate`: every number against slow loops, and what can go wrong."""

import csv
import json
import math
import os
import re
import shutil
import signal
import socket

import ase.io
import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from ase.calculators.singlepoint import SinglePointCalculator
from full_disk import files_up_to
from processes import contents, go_on, kill, started
from slow_evaluation import (
    RawModel,
    best_shift,
    mean_absolute,
    root_mean_square,
    slow_errors,
    slow_summary,
    true_spectrum,
)
from small_models import GRID
from typer.testing import CliRunner

import electrain.evaluation.chunk_files as chunk_files
import electrain.plots.style as plots
from electrain.calculators import ElectronicStructureEnsemble, ElectronicStructureModel
from electrain.cli import app
from electrain.data import prepare_dataset
from electrain.data.reading import PreparedPart
from electrain.evaluation import CompositionBaseline
from electrain.evaluation.chunk_files import chosen_for_rotation, read_components
from electrain.evaluation.evaluated_model import EvaluatedModel
from electrain.evaluation.figures import learning_curve
from electrain.evaluation.report import evaluate_models, report_figures, report_tables, report_text
from electrain.evaluation.structure_errors import StructureErrors
from electrain.evaluation.summary import ALL
from electrain.evaluation.uncertainties import SPECTRUM, calibrations
from electrain.jobs.folder import open_job
from electrain.pretrained import locate

MEANS = {"mae": mean_absolute, "rmse": root_mean_square}
GRID_ENDS = (GRID["start"] + GRID["max_shift"] * GRID["step"], GRID["start"] + (GRID["size"] - 1) * GRID["step"])


def make_frame(atoms, seed, subset):
    """A calculation with a gap between random states, the Fermi level in its middle, and labels of its own."""
    random = np.random.default_rng(seed)
    electrons = int(2 * len(atoms))
    num_filled, num_k = electrons // 2, 3
    filled, empty = random.uniform(-12, -1.0, (num_k, num_filled)), random.uniform(1.0, 9, (num_k, 8))
    middle = 0.5 * (filled.max() + empty.min())
    weights = random.uniform(0.2, 1.0, num_k)
    frame = atoms.copy()
    frame.rattle(0.05, seed=seed)
    frame.info = {
        "id": f"{subset}-{seed}",
        "subset": subset,
        "eigenvalues": np.sort(np.hstack([filled, empty]), axis=1) - middle,
        "kweights": 2 * weights / weights.sum(),
        "bandgap": float(empty.min() - filled.max()),
        "n_electrons": float(electrons),
    }
    results = {"energy": random.normal(), "forces": random.normal(size=(len(frame), 3))}
    if frame.pbc.all():
        stress = random.normal(size=(3, 3))
        results["stress"] = stress + stress.T
    frame.calc = SinglePointCalculator(frame, **results)
    return frame


@pytest.fixture(scope="module")
def frames():
    # No element is in two compounds, so that nothing can be held out: all are the training set.
    crystals = [bulk("Si"), bulk("Al", cubic=True), bulk("Al")]
    molecules = [molecule("H2"), molecule("CO")]
    return [make_frame(atoms, seed, "crystal") for seed, atoms in enumerate(crystals)] + [
        make_frame(atoms, seed, "molecule") for seed, atoms in enumerate(molecules)
    ]


@pytest.fixture(scope="module")
def prepare(frames, tmp_path_factory):
    """Write the frames as a data set in one of the formats; all of them are the training set."""

    def write(form="zip", chosen=frames, **settings):
        folder = tmp_path_factory.mktemp("prepared")
        ase.io.write(folder / "frames.xyz", chosen, format="extxyz")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("electrain.data.prepare.plot_summary", lambda *_: _[-1].touch())
            settings = {"grid": GRID_ENDS, "max_shift": 5.0, **settings}
            prepare_dataset([folder / "frames.xyz"], folder / "data", form=form, **settings)
        return folder / "data"

    return write


@pytest.fixture(scope="module")
def dataset(prepare):
    return prepare()


@pytest.fixture
def part(dataset):
    return PreparedPart(dataset, "train")


@pytest.fixture(scope="module")
def slow_rows(level_file, frames):
    model = RawModel(level_file)
    rotated = ("crystal-0", "molecule-0")  # with one of each subset
    return {frame.info["id"]: slow_errors(model, frame, rotate=frame.info["id"] in rotated) for frame in frames}


def read_csv(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def without_units(row):
    return {heading.partition(" (")[0]: cell for heading, cell in row.items()}


def run(dataset, model, report, *arguments):
    command = ["evaluate", str(dataset), "-m", str(model), "-o", str(report), "--part", "train", *arguments]
    return CliRunner().invoke(app, command)


def test_the_report(dataset, level_file, slow_rows, frames, tmp_path):
    """The files that a user finds, and every number in them against the slow loops."""
    result = run(dataset, level_file, tmp_path / "report", "--rotations", "1")
    assert result.exit_code == 0, result.output
    rows = [without_units(row) for row in read_csv(tmp_path / "report" / "structures.csv")]
    assert [row["formula"] for row in rows] == [frame.get_chemical_formula("metal") for frame in frames]
    for row in rows:
        for name, expected in slow_rows[row["id"]].items():
            value = float(row[name]) if row[name] else math.nan
            assert value == pytest.approx(expected, rel=1e-6, abs=1e-7, nan_ok=True), (row["id"], name)
    summary = json.loads((tmp_path / "report" / "summary.json").read_text())
    subsets = summary["models"][0]["subsets"]
    assert set(subsets) == {"crystal", "molecule", ALL}
    for subset, values in subsets.items():
        chosen = [slow_rows[row["id"]] for row in rows if subset in (row["subset"], ALL)]
        expected = slow_summary(chosen)
        counts = {"left_out": 0, "dos_structures": len(chosen), "rotated_structures": 2 if subset == ALL else 1}
        missing = set(values) - set(expected) - set(counts)
        assert all(values[name] is None or (name.endswith("_structures") and values[name] == 0) for name in missing)
        for name, value in {**expected, **counts}.items():
            assert values[name] == pytest.approx(value, rel=1e-6), (subset, name)
    assert any(abs(row["true_gap_counted"] - row["true_gap"]) > 0.1 for row in slow_rows.values())
    check_tables(tmp_path / "report", subsets, result.output)
    check_channels(tmp_path / "report", level_file, frames)
    check_baselines(summary["baselines"], frames, result.output)
    figures = {"errors_by_subset", "error_distribution", "gap_parity", "error_by_energy", "errors_by_element"}
    figures |= {"fermi_level_parity", "energy_parity"}
    names = {path.name for path in (tmp_path / "report" / "figures").iterdir()}
    assert names == {f"{name}.{ending}" for name in figures for ending in ("png", "pdf")}
    check_html((tmp_path / "report" / "report.html").read_text(encoding="utf-8"), frames)


def check_tables(report, subsets, output):
    """CSV and text say what JSON says."""
    by_model = {"level.pt": subsets, **json.loads((report / "summary.json").read_text())["baselines"]}
    rows = [without_units(row) for row in read_csv(report / "summary.csv")]
    assert len(rows) == len(by_model) * len(subsets)
    for row in rows:
        model, subset = row.pop("model"), row.pop("subset")
        for key, cell in row.items():
            if cell:
                assert float(cell) == pytest.approx(by_model[model][subset][key], rel=1e-6)
    text = (report / "summary.txt").read_text()
    assert text in output
    number = f"{subsets[ALL]['dos_rmse_per_electron']:.3g}"
    (line,) = [line for line in text.splitlines() if line.startswith("DOS: RMSE per electron (eq. 10) (eV^-1/2)")]
    assert line.split()[-3] == number  # before those of the baselines


def check_baselines(found, frames, output):
    """Constants fitted to the same structures: means over all of them, or over those of the same composition."""
    assert "baselines: constants fitted to the 5 training structures" in output
    labels = [
        (len(frame), frame.get_potential_energy(), frame.info["bandgap"], true_spectrum(frame)) for frame in frames
    ]
    length = max(len(target) for *_, target in labels)
    padded = torch.from_numpy(np.array([np.pad(t, (0, length - len(t)), constant_values=np.nan) for *_, t in labels]))
    numbers = sorted({int(number) for frame in frames for number in frame.numbers})
    elements = [[int((frame.numbers == number).sum()) for number in numbers] for frame in frames]
    reduced = [str(frame.symbols.formula.reduce()[0]) for frame in frames]
    for name, columns, groups in (
        ("training mean", [[len(frame)] for frame in frames], ["same"] * len(frames)),
        ("constant per element", elements, reduced),
    ):
        counts = torch.tensor(columns)
        fit = CompositionBaseline().fit(counts, padded, ~padded.isnan(), GRID["max_shift"], GRID["step"])
        aligned = [best_shift(mine.numpy(), t) for mine, (*_, t) in zip(fit.predict(counts), labels, strict=True)]
        levels = [(shift - GRID["max_shift"]) * GRID["step"] for shift, _ in aligned]

        def error(values, groups=groups):
            means = {
                group: np.mean([v for v, own in zip(values, groups, strict=True) if own == group]) for group in groups
            }
            return [means[group] - value for value, group in zip(values, groups, strict=True)]

        squares = [cost / (GRID["step"] * t.sum()) for (_, cost), (*_, t) in zip(aligned, labels, strict=True)]
        energies = [1000 * value for value in error([energy / count for count, energy, *_ in labels])]
        forces = [1000 * value for frame in frames for value in frame.get_forces().ravel()]
        stresses = [1000 * value for frame in frames[:3] for value in frame.get_stress(voigt=False).ravel()]
        expected = {
            "dos_rmse_per_electron": math.sqrt(np.mean(squares)),
            **{f"energy_{key}": mean(energies) for key, mean in MEANS.items()},
            **{f"gap_head_{key}": mean(error([gap for _, _, gap, _ in labels])) for key, mean in MEANS.items()},
            **{f"fermi_head_{key}": mean(error(levels)) for key, mean in MEANS.items()},
            **{f"forces_{key}": mean(forces) for key, mean in MEANS.items()},
            **{f"stresses_{key}": mean(stresses) for key, mean in MEANS.items()},
        }
        for key, value in expected.items():
            assert found[name][ALL][key] == pytest.approx(value, rel=1e-4, abs=1e-6), (name, key)
        assert found[name][ALL]["gap_true_dos_mae"] is None  # no prediction of the baseline
        assert set(found[name]) == {"crystal", "molecule", ALL}


def check_channels(report, model_file, frames):
    """Errors at each energy, by loops."""
    model = RawModel(model_file)
    sums, counts = {}, {}
    rows = {row["id"]: row for row in read_csv(report / "structures.csv")}
    for frame in frames:
        target, prediction = true_spectrum(frame), model.output(frame, "mtt::dos")
        shift = round(float(rows[frame.info["id"]]["true_level (eV)"]) / GRID["step"]) + GRID["max_shift"]
        for channel, value in enumerate(target):
            error = (prediction[shift + channel] - value) / len(frame)
            sums[channel] = sums.get(channel, 0.0) + error**2
            counts[channel] = counts.get(channel, 0) + 1
    found = read_csv(report / "error_by_energy.csv")
    for channel, row in enumerate(found):
        assert int(row["structures"]) == counts.get(channel, 0)
        if channel in counts:
            expected = math.sqrt(sums[channel] / counts[channel])
            assert float(row["RMSE per atom (states/eV/atom)"]) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def check_html(page, frames):
    """One file without anything from elsewhere; spectra and structures of all frames in it."""
    pytest.importorskip("chemiscope")
    outside = re.findall(r"<(?:script|img|link|iframe)[^>]*(?:src|href)\s*=\s*['\"](?!data:)", page)
    assert not outside
    data = json.loads(re.search(r"<script>const report = (.*?);</script>", page)[1].replace("<\\/", "</"))
    assert len(data["dataset"]["structures"]) == len(data["spectra"]) == len(frames)
    assert data["titles"][0] == "crystal-0 (crystal)"
    assert data["formulas"][:2] == ["Si2", "Al4"]
    assert "<h1>level.pt on data (train set)</h1>" in page
    assert "<span class='unit'>(eV<sup>&minus;1/2</sup>)</span>" in page and "meV/Å<sup>3</sup>" in page
    assert "^" not in page[page.index("<body>") : page.index("<script>")]
    assert "E_F" not in page[page.rindex("<script>") :]
    assert data["dataset"]["meta"]["name"] == "data (train set)"
    energies, (target, predicted) = np.array(data["energies"]), data["spectra"][0]
    assert len(energies) == len(target) == len(predicted)
    expected = true_spectrum(frames[0])
    first = round((energies[0] - GRID_ENDS[0]) / GRID["step"])
    known = [value for value in target if value is not None]
    np.testing.assert_allclose(known, expected[first : first + len(known)], atol=1e-4)
    for heading in ("Tables", "Figures", "Structures", "DOS: RMSE per electron"):
        assert heading in page
    assert page.count("data:image/png;base64,") >= 7


def test_the_report_is_written_while_the_folder_is_locked(dataset, level_file, tmp_path, monkeypatch):
    """Another process would otherwise replace predictions that are being read."""
    tried = []

    def try_to_enter(*_):
        with pytest.raises(BlockingIOError, match="is being worked on by process"), open_job(tmp_path / "predictions"):
            pass
        tried.append(True)

    monkeypatch.setattr("electrain.evaluation.report.write_report", try_to_enter)
    result = run(dataset, level_file, tmp_path, "--rotations", "0")
    assert result.exit_code == 0 and tried, result.output


def test_components_of_forces_and_stresses(part, level_file, frames, tmp_path, monkeypatch):
    """Those of left out structures and over several chunks, too, belong to their structures."""
    monkeypatch.setattr(chunk_files, "CHUNK_SIZE", 2)
    (found,) = evaluate_models([level_file], part, tmp_path, num_rotated=0).models
    raw = RawModel(level_file)
    structures, forces = read_components(found.files, "forces")
    stressed, stresses = read_components(found.files, "stresses")
    for index, frame in enumerate(frames):
        _, predicted, stress = raw.energy(frame)
        pairs = np.column_stack([frame.get_forces().ravel(), predicted.ravel()])
        np.testing.assert_allclose(forces[structures == index], pairs, rtol=1e-5, atol=1e-5)
        assert (stress is None) == (not (stressed == index).any())
        if stress is not None:
            pairs = np.column_stack([frame.get_stress(voigt=False).ravel(), stress.ravel()])
            own = stresses[stressed == index].reshape(3, 3, 2)
            symmetric = 0.5 * (own + own.swapaxes(0, 1))  # as ASE gives it
            np.testing.assert_allclose(symmetric.reshape(9, 2), pairs, rtol=1e-5, atol=1e-5)


def test_the_network_baseline(dataset, part, level_file, energy_only_file, tmp_path, monkeypatch):
    """It is added to a report that exists, in all tables and figures, and trained once."""
    for name in ("NUM_EPOCHS", "MIN_STEPS"):
        monkeypatch.setattr(f"electrain.evaluation.network_baseline.{name}", 2)
    monkeypatch.setattr("electrain.evaluation.figure_files.save_figure", lambda _, path: path.touch())  # takes seconds
    report = tmp_path / "report"
    evaluate_models([level_file], part, report, num_rotated=0)
    result = run(dataset, level_file, report, "--rotations", "0", "--network-baseline")
    assert result.exit_code == 0, result.output
    names = ["constant per element", "training mean", "two-layer network"]
    fact = "constants fitted to the 5 training structures, with forces and stresses of zero; two-layer network trained"
    assert f"baselines: {fact} on the same structures, without energies" in result.output
    found = json.loads((report / "summary.json").read_text())["baselines"]
    assert list(found) == names and {row["model"] for row in read_csv(report / "summary.csv")} == {"level.pt", *names}
    row, constant = found["two-layer network"][ALL], found["constant per element"][ALL]
    assert 0 < row["dos_rmse_per_electron"] < 10 and row["dos_structures"] == row["gap_head_structures"] == 5
    assert row["dos_rmse_per_electron"] != pytest.approx(constant["dos_rmse_per_electron"], rel=1e-3)
    assert row["gap_head_mae"] > 0 and row["fermi_head_mae"] >= 0
    assert row["energy_mae"] is None and row["forces_mae"] is None and constant["energy_mae"] > 0
    page = (report / "report.html").read_text(encoding="utf-8")
    assert "<th class='baseline'>two-layer network</th>" in page and "Crosses: the same errors of a two-layer" in page
    monkeypatch.setattr("electrain.evaluation.baselines.NetworkBaseline", None)  # is not needed again
    again = evaluate_models([level_file], part, report, num_rotated=0, network_baseline=True)
    assert again.baseline_summaries()["two-layer network"][ALL]["gap_head_mae"] == row["gap_head_mae"]
    (file,) = report.rglob("network_baseline/*.npz")
    file.write_text("text")
    result = run(dataset, level_file, report, "--rotations", "0", "--network-baseline")
    fails(result, f"{file} is damaged", "delete it and run the same command to compute the baselines again")
    result = run(dataset, energy_only_file, tmp_path / "other", "--network-baseline")
    fails(result, f"is for models of densities of states, but {energy_only_file} predicts none")
    assert not (tmp_path / "other").exists()


def test_baselines_need_a_training_part(dataset, level_file, tmp_path):
    shared = shutil.copytree(dataset, tmp_path / "shared")
    rows = read_csv(shared / "structures.csv")
    with (shared / "structures.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "part": "test"} for row in rows)
    (shared / "train.zip").rename(shared / "test.zip")
    part = PreparedPart(shared, "test")
    evaluation = evaluate_models([level_file], part, tmp_path / "report", num_rotated=0)
    assert "baselines: none, because the data set has no training part" in report_text(evaluation).splitlines()
    assert list(report_tables(evaluation)["Errors of level.pt"]) == ["crystal", "molecule", ALL]
    assert "energy_parity" in {item.name for item in report_figures(evaluation)}
    with pytest.raises(ValueError, match=f"needs a training part to learn from, but {shared} has none"):
        evaluate_models([level_file], part, tmp_path / "other", num_rotated=0, network_baseline=True)


@pytest.mark.parametrize(("form", "tolerance"), [("xyz", 1e-5), ("memmap", 2e-3)])
def test_all_formats(prepare, part, level_file, tmp_path, form, tolerance):
    expected = evaluate_models([level_file], part, tmp_path / "zip", num_rotated=0).models[0].summary
    other = PreparedPart(prepare(form), "train")
    assert other.form == form
    found = evaluate_models([level_file], other, tmp_path / form, num_rotated=0).models[0].summary
    assert found.keys() == expected.keys()
    for subset, values in expected.items():
        for name, value in values.items():
            assert found[subset][name] == pytest.approx(value, rel=tolerance, abs=tolerance, nan_ok=True), name


def test_batches_do_not_matter(part, level_file, tmp_path):
    tables = [
        evaluate_models([level_file], part, tmp_path / str(size), num_rotated=0, batch_size=size).models[0].table
        for size in (1, 1000)
    ]
    np.testing.assert_allclose(tables[0].values, tables[1].values, rtol=1e-8, atol=1e-10)


def test_interrupted_and_continued(part, level_file, tmp_path, monkeypatch):
    """What was predicted before an error is not predicted again, and all ends as without it."""
    monkeypatch.setattr(chunk_files, "CHUNK_SIZE", 2)
    whole = evaluate_models([level_file], part, tmp_path / "whole", num_rotated=0)
    sizes = []
    compare = chunk_files.compare_structures

    def failing(structures, *others):
        sizes.append(len(structures))
        if len(sizes) == 2:
            raise RuntimeError("the power went off")
        return compare(structures, *others)

    monkeypatch.setattr(chunk_files, "compare_structures", failing)
    with pytest.raises(RuntimeError, match="the power went off"):
        evaluate_models([level_file], part, tmp_path / "broken", num_rotated=0)
    written = sorted(path.name for path in (tmp_path / "broken").rglob("*") if path.is_file())
    assert written == ["00000000.npz", "job.json"]
    again = evaluate_models([level_file], part, tmp_path / "broken", num_rotated=0)
    assert sizes == [2, 2, 2, 1]
    np.testing.assert_array_equal(again.models[0].table.values, whole.models[0].table.values)
    evaluate_models([level_file], part, tmp_path / "broken", num_rotated=0)
    assert sizes == [2, 2, 2, 1]


def test_two_processes_and_a_killed_one(dataset, part, level_file, tmp_path, monkeypatch):
    """One process at a time; another one continues what a killed one began, and nothing of that one remains."""
    monkeypatch.setattr(chunk_files, "CHUNK_SIZE", 2)
    whole = evaluate_models([level_file], part, tmp_path / "whole", num_rotated=0)
    pause = "electrain.evaluation.chunk_files.CHUNK_SIZE", 2, "electrain.evaluation.chunk_files.compare_structures"
    command = "evaluate", dataset, "-m", level_file, "-o", tmp_path / "report", "--part", "train", "--rotations", "0"
    with started("paused_command.py", *pause, *command) as first:
        assert first.stdout.readline() == go_on(first) == "waiting\n"
        for arguments in ((), ("--overwrite",)):
            second = run(dataset, level_file, tmp_path / "report", *arguments)
            assert second.exit_code == 1
            where = f"predictions is being worked on by process {first.pid} on {socket.gethostname()}"
            assert where in " ".join(second.output.split())
        kill(first)
    (chunk,) = (tmp_path / "report").rglob("*.npz")
    before = chunk.read_bytes()
    again = evaluate_models([level_file], part, tmp_path / "report", num_rotated=0)
    assert chunk.read_bytes() == before
    assert set(contents(tmp_path / "report")) == set(contents(tmp_path / "whole"))
    np.testing.assert_array_equal(again.models[0].table.values, whole.models[0].table.values)


def test_unknown_elements_are_left_out(prepare, frames, level_file, tmp_path):
    magnesium = make_frame(bulk("Mg", "fcc", a=4.5), 7, "crystal")
    part = PreparedPart(prepare(chosen=[*frames, magnesium]), "train")
    evaluation = evaluate_models([level_file], part, tmp_path / "report", num_rotated=0)
    (found,) = evaluation.models
    assert found.summary[ALL]["structures"] == 6
    assert found.summary[ALL]["left_out"] == found.summary["crystal"]["left_out"] == 1
    assert found.summary[ALL]["dos_structures"] == 5
    assert [reason for reason in found.table.reasons if reason] == ["the model does not know Mg"]
    assert found.table.formulas() == ["Si2", "Al4", "Al", "H2", "CO", "Mg"]
    assert "left out, 1 structure: the model does not know Mg" in report_text(evaluation).splitlines()
    only = PreparedPart(prepare(chosen=[magnesium]), "train")
    with pytest.raises(ValueError, match=r"none of the structures in .*train\.zip: the model does not know Mg"):
        evaluate_models([level_file], only, tmp_path / "other", num_rotated=0)


def test_structures_are_checked_once(part, level_file, energy_only_file, checked, tmp_path):
    """Also those that are rotated, which makes 38 structures of one."""
    evaluate_models([level_file], part, tmp_path / "one", num_rotated=1)
    assert len(checked) == len(part)
    evaluate_models([energy_only_file], part, tmp_path / "other", num_rotated=1)
    assert len(checked) == 2 * len(part)


def test_inputs_of_the_model_are_checked(part, charged_metal_file):
    model = EvaluatedModel(locate(charged_metal_file), part, "cpu", batch_size=10, matmul_precision="highest")
    atoms = bulk("Si")
    model.check(atoms)
    atoms.info["charge"] = 0.5
    with pytest.raises(ValueError, match="charge"):
        model.check(atoms)


def test_several_models(part, level_file, dos_only_file, tmp_path):
    """A table by model and a learning curve; the second model has no gaps and energies."""
    evaluation = evaluate_models([level_file, dos_only_file], part, tmp_path, num_rotated=0, training_sizes=[100, 50])
    first, second = (model.summary[ALL] for model in evaluation.models)
    assert "gap_head_mae" in first and "gap_head_mae" not in second
    table = report_tables(evaluation)["All structures, by model"]
    assert table["dos.pt"]["dos_rmse_per_electron"] == second["dos_rmse_per_electron"]
    assert set(table["level.pt"]) == set(table["dos.pt"]) and "gap_head_mae" not in table["level.pt"]
    assert list(table) == ["level.pt", "dos.pt", "constant per element", "training mean"]
    baselines = evaluation.baseline_summaries()
    baseline = baselines["constant per element"]
    assert table["constant per element"]["dos_rmse_per_electron"] == baseline[ALL]["dos_rmse_per_electron"]
    (panel,) = learning_curve([100, 50], [model.summary for model in evaluation.models], baselines).figure.axes
    assert len(panel.lines) == 2  # the training mean is not shown
    assert set(panel.lines[1].get_ydata()) == {baseline[ALL]["dos_rmse_per_electron"]}
    x, y = panel.lines[0].get_data()
    assert x.tolist() == [50, 100]
    np.testing.assert_allclose(y, [second["dos_rmse_per_electron"], first["dos_rmse_per_electron"]])


def test_an_ensemble(dataset, part, frames, save_models, tmp_path, monkeypatch):
    """The report is about the average of the models, whose numbers follow from theirs."""
    monkeypatch.setattr("electrain.evaluation.report.write_report", lambda *_: None)  # figures take seconds
    files = save_models(2)
    result = run(dataset, files[0], tmp_path, "-m", str(files[1]), "--ensemble", "--rotations", "0")
    assert result.exit_code == 0, result.output
    assert f"model: {files[0]}, {files[1]}" in result.output and "Errors of ensemble of 2" in result.output
    chunks = {path: path.read_bytes() for path in tmp_path.rglob("*.npz")}
    evaluation = evaluate_models(files, part, tmp_path, num_rotated=0, ensemble=True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.npz")} == chunks
    average, *members = evaluation.models
    assert [model.name for model in evaluation.models] == ["ensemble of 2", "0.pt", "1.pt"]
    for name, spread in (("predicted_energy", "energy_uncertainty"), ("predicted_gap", "gap_uncertainty")):
        values = np.array([model.table.column(name) for model in members])
        np.testing.assert_allclose(average.table.column(name), values.mean(axis=0), rtol=1e-9)
        np.testing.assert_allclose(average.table.column(spread), values.std(axis=0, ddof=1), rtol=1e-6, atol=1e-12)
    for name in ("forces", "stresses"):
        pairs = [read_components(model.files, name)[1] for model in evaluation.models]
        np.testing.assert_allclose(pairs[0], np.mean(pairs[1:], axis=0), rtol=1e-4, atol=1e-4)
    ensemble = ElectronicStructureEnsemble(files, "cpu")
    for index, frame in enumerate(frames):
        predicted = ensemble.predict(frame)
        row = average.table.values[index]
        numbers = dict(zip(StructureErrors._fields, row, strict=True))
        shift, cost = best_shift(predicted.density_of_states, true_spectrum(frame))
        assert numbers["alignment"] == pytest.approx(cost, rel=1e-6)
        assert numbers["true_level"] == pytest.approx(GRID["step"] * (shift - GRID["max_shift"]), abs=1e-9)
        assert numbers["predicted_level"] == pytest.approx(predicted.fermi_level, abs=1e-9)
        assert numbers["level_uncertainty"] == pytest.approx(predicted.uncertainty.fermi_level, rel=1e-6)
    # Energies of the two models are the same: no spread that could be compared with an error.
    assert set(calibrations(average.table)) == {SPECTRUM, "mtt::bandgap", "mtt::efermi"}


def test_an_ensemble_of_different_quantities(part, level_file, energy_only_file, tmp_path):
    with pytest.raises(ValueError, match=r"same quantities .*level\.pt predicts mtt::dos and energy and .* energy$"):
        evaluate_models([level_file, energy_only_file], part, tmp_path / "report", num_rotated=0, ensemble=True)
    assert not (tmp_path / "report").exists()


def test_uncertainties(part, frames, uncertain_file, tmp_path):
    evaluation = evaluate_models([uncertain_file], part, tmp_path, num_rotated=0)
    (found,) = evaluation.models
    model = ElectronicStructureModel(uncertain_file, "cpu")
    expected = [model.predict(labelled.atoms).uncertainty for labelled in part.structures()]
    for column, field in {"gap_uncertainty": "band_gap", "level_uncertainty": "fermi_level"}.items():
        np.testing.assert_allclose(found.table.column(column), [getattr(item, field) for item in expected], rtol=1e-8)
    errors = found.table.column("predicted_level") - found.table.column("true_level")
    ratio = math.sqrt(np.mean((errors / found.table.column("level_uncertainty")) ** 2))
    (line,) = [line for line in report_text(evaluation).splitlines() if line.startswith("Fermi level  ")]
    assert line.split()[2:4] == [str(len(frames)), f"{ratio:.3g}"]


def test_energies_alone(dataset, energy_only_file, tmp_path, monkeypatch):
    monkeypatch.setattr("electrain.evaluation.html_report.chemiscope_library", lambda: None)
    result = run(dataset, energy_only_file, tmp_path)
    assert result.exit_code == 0, result.output
    values = json.loads((tmp_path / "summary.json").read_text())["models"][0]["subsets"][ALL]
    assert "dos_rmse_per_electron" not in values and values["energy_mae"] > 0 and values["stresses_rmse"] > 0
    assert not (tmp_path / "error_by_energy.csv").exists()
    assert "pip install 'electrain[report]'" in (tmp_path / "report.html").read_text()
    monkeypatch.setattr("electrain.evaluation.html_report.chemiscope_library", lambda: "library")
    assert run(dataset, energy_only_file, tmp_path).exit_code == 0
    page = (tmp_path / "report.html").read_text()
    assert "densities of states, which this model does not predict" in page and "pip install" not in page
    table = json.loads((tmp_path / "summary.json").read_text())["baselines"]["training mean"][ALL]
    assert table["forces_rmse"] > 0 and "dos_rmse_per_electron" not in table


def test_nothing_in_common(prepare, frames, energy_only_file, tmp_path):
    plain = []
    for frame in frames:
        plain.append(frame.copy())
        plain[-1].info = frame.info
    part = PreparedPart(prepare(chosen=plain), "train")
    message = (
        r"expected a model of a quantity that .* has \(mtt::dos, mtt::bandgap, mtt::efermi\), but .* predicts energy"
    )
    with pytest.raises(ValueError, match=message):
        evaluate_models([energy_only_file], part, tmp_path / "report", num_rotated=0)
    assert not (tmp_path / "report").exists()


def test_another_axis(prepare, level_file, tmp_path):
    part = PreparedPart(prepare(grid=(-25.0, 11.0)), "train")
    message = r"have different energy axes: .*prepare the data set again with `electrain prepare --like .*pt`"
    with pytest.raises(ValueError, match=message):
        evaluate_models([level_file], part, tmp_path / "report", num_rotated=0)
    smeared = PreparedPart(prepare(smearing=0.25), "train")
    with pytest.raises(ValueError, match=r"with a smearing of 0.3 eV, but that in .* is 0.25 eV"):
        evaluate_models([level_file], smeared, tmp_path / "report", num_rotated=0)


def test_wrong_data(dataset, level_file, tmp_path):
    with pytest.raises(ValueError, match="expected one of the parts train, validation, test, got 'tests'"):
        PreparedPart(dataset, "tests")
    with pytest.raises(ValueError, match=r"expected structures in the part 'test' of .*, which has none \(train 5"):
        PreparedPart(dataset, "test")
    with pytest.raises(FileNotFoundError, match="expected a folder written by `electrain prepare`, but there is no"):
        PreparedPart(tmp_path, "test")
    copy = shutil.copytree(dataset, tmp_path / "copy")
    lines = (copy / "structures.csv").read_text().splitlines(keepends=True)
    (copy / "structures.csv").write_text("".join(lines[:-1]))
    with pytest.raises(ValueError, match=r"train.zip: expected 4 structures as in structures.csv, got more"):
        list(PreparedPart(copy, "train").structures())
    (copy / "train.zip").unlink()
    with pytest.raises(FileNotFoundError, match=r"lists train.zip, which does not exist"):
        PreparedPart(copy, "train")


def test_files_of_something_else(dataset, level_file, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    result = run(dataset, level_file, tmp_path)
    assert result.exit_code == 1
    assert "expected a new or empty folder, or an evaluation of" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("many", "expected numbers of training structures such as 100,200,400, got 'many'"),
        ("1,2", "expected a number of training structures for 1 model, got 2"),
        ("0", "expected positive numbers of training structures, got [0]"),
    ],
)
def test_wrong_sizes(dataset, level_file, tmp_path, text, message):
    result = run(dataset, level_file, tmp_path, "--training-sizes", text)
    assert result.exit_code == 2
    assert message in result.output


def test_models_that_are_none(dataset, tmp_path):
    result = run(dataset, tmp_path / "none.pt", tmp_path / "report")
    assert result.exit_code == 1
    assert "does not exist" in result.output


def test_rotated_structures_are_spread_over_each_subset(part):
    entries = [part.entries[0]._replace(subset=subset) for subset in "aaaaaaabb"]
    chosen = chosen_for_rotation(entries, 3)
    assert [index for index, wanted in enumerate(chosen) if wanted] == [0, 2, 4, 7, 8]
    assert not any(chosen_for_rotation(entries, 0))


def fails(result, *texts):
    """One sentence for the user, without a traceback and without advice to take risks."""
    assert isinstance(result.exception, SystemExit) and result.exit_code == 1, result.output
    for text in (*texts, "error: "):
        assert text in result.output
    assert not {word for word in ("pickle", "unsafe", "Traceback") if word in result.output}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("manifest.json", b'{"format": "zip", '),
        ("manifest.json", b"[]"),
        ("manifest.json", b"{}"),
        ("manifest.json", b"\xff\xfe"),
        ("structures.csv", b"\xff\xfe"),
        ("structures.csv", b"part,number\ntrain,0\n"),
        ("structures.csv", b"part,number,id,formula,subset,electrons\ntrain,0,a,Si2,,many\n"),
        ("train.zip", b"PK no archive"),
    ],
)
def test_a_damaged_data_set(dataset, level_file, tmp_path, name, content):
    copy = shutil.copytree(dataset, tmp_path / "copy")
    (copy / name).write_bytes(content)
    result = run(copy, level_file, tmp_path / "report")
    fails(result, f"{copy / name} is damaged: expected", "make the data set again with `electrain prepare`")


@pytest.mark.parametrize(
    ("form", "name"), [("xyz", "train.xyz"), ("memmap", "train/na.npy"), ("memmap", "train/x.bin")]
)
def test_a_damaged_part(prepare, level_file, tmp_path, form, name):
    folder = prepare(form)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2] if form == "xyz" or name.endswith("bin") else b"text")
    result = run(folder, level_file, tmp_path / "report")
    fails(result, f"{folder / name.partition('/')[0]} is damaged: expected structures in the format {form}")


def test_damaged_predictions(dataset, part, level_file, tmp_path):
    """The message says what to do, and that helps."""
    report = tmp_path / "report"
    table = evaluate_models([level_file], part, report, num_rotated=0).models[0].table
    (chunk,) = [path for path in report.rglob("*.npz") if path.parent.name != "baselines"]
    whole = chunk.read_bytes()
    with np.load(chunk) as arrays:
        fewer = {name: arrays[name][:-1] if name == "errors" else arrays[name] for name in arrays.files}
    np.savez(tmp_path / "fewer.npz", **fewer)
    np.savez(tmp_path / "objects.npz", **{**fewer, "reasons": np.array([{}], dtype=object)})
    others = [(tmp_path / f"{name}.npz").read_bytes() for name in ("fewer", "objects")]
    for content in (whole[: len(whole) // 2], b"", b"text", *others):
        chunk.write_bytes(content)
        result = run(dataset, level_file, report, "--rotations", "0")
        fails(result, f"{chunk} is damaged", "delete it and run the same command to predict its structures again")
    chunk.unlink()
    again = evaluate_models([level_file], part, report, num_rotated=0)
    np.testing.assert_array_equal(again.models[0].table.values, table.values)
    (baselines,) = report.rglob("baselines/*.npz")
    baselines.write_text("text")
    result = run(dataset, level_file, report, "--rotations", "0")
    fails(result, f"{baselines} is damaged", "delete it and run the same command to compute the baselines again")
    job = report / "predictions" / "job.json"
    job.write_text("{")
    result = run(dataset, level_file, report, "--rotations", "0")
    fails(result, f"{job} is damaged: expected the record of a job; delete the folder {report}/predictions to start")
    shutil.rmtree(report / "predictions")
    evaluate_models([level_file], part, report, num_rotated=0)


def test_a_report_replaces_nothing_that_it_is_made_from(dataset, level_file, tmp_path):
    copy = shutil.copytree(dataset, tmp_path / "copy")
    (tmp_path / "link").symlink_to(copy)
    before = contents(copy)
    (tmp_path / "report" / "predictions").mkdir(parents=True)
    model = shutil.copy(level_file, tmp_path / "report" / "predictions" / "model.pt")
    for folder, given in ((copy, level_file), (tmp_path / "link", level_file), (tmp_path / "report", model)):
        result = run(copy, given, folder, "--overwrite")
        fails(result, f"expected another folder for the report than {folder}, because it would replace")
    assert contents(copy) == before
    assert contents(tmp_path / "report").keys() == {"predictions/model.pt"}


def test_stopped_while_figures_are_drawn(dataset, level_file, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        save = plots.save_figure

        def stop(figure, path):
            save(figure, path)
            if path.suffix == ".pdf":
                os.kill(os.getpid(), signal.SIGTERM)

        patch.setattr("electrain.evaluation.figure_files.save_figure", stop)
        result = run(dataset, level_file, tmp_path, "--rotations", "0")
    assert (result.exit_code, result.output.splitlines()[-1]) == (143, "stopped; run the same command to continue")
    assert not [name for name in contents(tmp_path) if "/." in name or name.startswith(".")]
    assert len(list((tmp_path / "figures").iterdir())) == 1


def test_a_full_disk(dataset, part, level_file, tmp_path):
    for size, name in ((5, "predictions/.lock.holder"), (120, "predictions/job.json"), (4000, "predictions/")):
        with files_up_to(size):
            result = run(dataset, level_file, tmp_path / "report", "--rotations", "0")
        fails(result, f"error: cannot write {tmp_path}/report/{name}", ": File too large")
    evaluate_models([level_file], part, tmp_path / "report", num_rotated=0)
    with files_up_to(4000):
        result = run(dataset, level_file, tmp_path / "report", "--rotations", "0")
    fails(result, f"error: cannot write {tmp_path}/report/", ": File too large")
    assert not [name for name in contents(tmp_path) if "/." in name]


def test_a_part_that_there_is_not(dataset, level_file, tmp_path):
    command = ["evaluate", str(dataset), "-m", str(level_file), "-o", str(tmp_path), "--part", "tests"]
    assert CliRunner().invoke(app, command).exit_code == 2
