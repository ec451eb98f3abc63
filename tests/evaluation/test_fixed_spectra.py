"""`electrain evaluate` on spectra on a fixed axis: every number against slow loops, and what can go wrong."""

import csv
import json
import math

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from phonons import save_phonon_model
from scipy.optimize import nnls
from typer.testing import CliRunner

import electrain.evaluation.fixed.models as fixed_models
from electrain.calculators import SpectrumModel
from electrain.cli import app
from electrain.data.fixed import prepare_spectra
from electrain.data.fixed.reading import SpectraPart
from electrain.evaluation.fixed.baselines import baseline_spectra
from electrain.evaluation.fixed.fermi_energy import PATIENCE, FermiEnergyNetwork, _pairs, _train, trained_network
from electrain.evaluation.fixed.report import evaluate_spectra, report_figures, report_text
from electrain.evaluation.fixed.tables import write_structures
from electrain.evaluation.summary import ALL
from electrain.interface.quantities import (
    ELECTRONIC_DOS,
    ELECTRONIC_DOS_NORMALIZED,
    PHONON_DOS,
    PHONON_DOS_NORMALIZED,
)
from electrain.jobs.folder import open_job
from electrain.spectra.element_spectra import RIDGE
from electrain.spectra.fixed_axis import FixedAxis

PHONON_AXIS = FixedAxis(0.0, 25.0, 41, "cm^-1")
ELECTRON_AXIS = FixedAxis(-4.0, 0.25, 33, "eV")
WINDOW = {"grid": (-4.0, 4.0), "step": 0.25, "unit": "eV"}
ERRORS = ("rmse", "mae", "r2", "wasserstein")


def row(atoms, name, axis, part, subset, **more):
    """Three states an atom, around a place that depends on the elements."""
    structure = {key: getattr(atoms, key).tolist() for key in ("numbers", "positions", "pbc")}
    places = axis.values().numpy()
    centre = axis.start + (0.3 + 0.4 * float(np.mean(np.sin(atoms.numbers) ** 2))) * (axis.stop - axis.start)
    peak = np.exp(-0.5 * ((places - centre) / (4 * axis.step)) ** 2)
    values = 3 * len(atoms) * peak / (peak.sum() * axis.step)
    row = {"id": name, "structure": {**structure, "cell": atoms.cell[:].tolist()}, "energies": places.tolist()}
    return {**row, "dos": values.tolist(), "split": part, "subset": subset, **more}


def rows_of(axis):
    """Silicon in the test set alone, and gold, which models do not know."""
    structures = {
        "train": [("molecule", molecule(name)) for name in ("H2", "N2", "O2", "H2O", "NH3", "NO")],
        "validation": [("molecule", molecule("H2O2"))],
        "test": [
            ("molecule", molecule("N2H4")),
            ("molecule", molecule("N2O")),
            ("molecule", molecule("O3")),
            ("crystal", bulk("Si")),
            ("crystal", bulk("Au")),
        ],
    }
    return [
        row(atoms, f"{part}-{number}", axis, part, subset)
        for part, members in structures.items()
        for number, (subset, atoms) in enumerate(members)
    ]


def write(rows, folder, kind, axis, **settings):
    folder.mkdir()
    (folder / "spectra.json").write_text(json.dumps(rows))
    prepare_spectra(
        [folder / "spectra.json"], folder / "data", kind=kind, source_unit=axis.unit, split=None, **settings
    )
    return folder / "data"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("spectra")


@pytest.fixture(scope="module")
def phonons(folder):
    return write(rows_of(PHONON_AXIS), folder / "phonons", "phonon", PHONON_AXIS)


@pytest.fixture(scope="module")
def models(folder):
    names = (PHONON_DOS, PHONON_DOS_NORMALIZED)
    return [save_phonon_model(folder / f"{width}.pt", names, PHONON_AXIS, width=width) for width in (8, 6)]


def run(*arguments):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def read_csv(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def without_units(row):
    return {heading.partition(" (")[0]: cell for heading, cell in row.items()}


def slow_errors(prediction, target, step):
    """Errors of one structure, channel by channel."""
    number = len(target)
    differences = [y - t for y, t in zip(prediction, target, strict=True)]
    mse = sum(d * d for d in differences) / number
    mean = sum(target) / number
    positive = [max(y, 0.0) for y in prediction]
    distance = sum(
        abs(sum(positive[: i + 1]) / sum(positive) - sum(target[: i + 1]) / sum(target)) for i in range(number)
    )
    return {
        "rmse": math.sqrt(mse),
        "mae": sum(map(abs, differences)) / number,
        "r2": 1 - mse / (sum((t - mean) ** 2 for t in target) / number),
        "wasserstein": step * distance,
    }


@pytest.mark.parametrize("normalize", [None, "maximum"])
def test_the_report(models, folder, normalize, tmp_path):
    """The files that a user finds; numbers of models and baselines against slow loops."""
    data = write(rows_of(PHONON_AXIS), tmp_path / "phonons", "phonon", PHONON_AXIS, normalize=normalize)
    result = run(data, "-m", models[0], "-m", models[1], "-o", tmp_path / "report", "--ensemble")
    assert result.exit_code == 0, result.output
    part, train = SpectraPart(data, "test"), SpectraPart(data, "train")
    expected = slow_predictions(part, train, models)
    rows = [without_units(row) for row in read_csv(tmp_path / "report" / "structures.csv")]
    assert len(rows) == len(part) * len(expected)
    for row in rows:
        index = int(row["number"])
        prediction = expected[row["model"]][index]
        assert row["id"] == part.entries[index].name and row["subset"] == part.entries[index].subset
        assert bool(row["left out"]) == (prediction is None)
        size = len(part.structures[index]) if normalize is None else 1
        for name in ERRORS:
            if prediction is None:
                assert row[name] == ""
            else:
                values = slow_errors(prediction / size, part.spectra[index] / size, PHONON_AXIS.step)
                assert float(row[name]) == pytest.approx(values[name], rel=1e-6), (row["model"], name)
    check_summaries(tmp_path / "report", rows, result.output)
    names = {path.name for path in (tmp_path / "report" / "figures").iterdir()}
    assert names == {f"{name}.{ending}" for name in ("error_distribution", "examples") for ending in ("png", "pdf")}
    unit = "" if normalize else " (states/cm^-1/atom)"
    assert f"RMSE{unit}" in result.output and "WD (cm^-1)" in result.output
    assert "Fermi" not in result.output


def slow_predictions(part, train, models):
    """Of the report's models and baselines, by name: a list of spectra, None for those without."""
    normalised = part.target == PHONON_DOS_NORMALIZED
    opened = {path.name: SpectrumModel(path, "cpu", target=part.target) for path in models}
    found = {
        name: [None if "Au" in atoms.symbols else model.predict(atoms).values for atoms in part.structures]
        for name, model in opened.items()
    }
    members = zip(*found.values(), strict=True)
    found["ensemble of 2"] = [None if spectra[0] is None else sum(spectra) / 2 for spectra in members]
    sizes = [1 if normalised else len(atoms) for atoms in train.structures]
    per_atom = np.array([values / size for values, size in zip(train.spectra, sizes, strict=True)])
    symbols = ["H", "N", "O"]

    def fractions(atoms):
        return [sum(atoms.symbols == symbol) / len(atoms) for symbol in symbols]

    matrix = np.vstack([[fractions(atoms) for atoms in train.structures], RIDGE * np.eye(3)])
    constants = [nnls(matrix, np.append(per_atom[:, i], np.zeros(3)))[0] for i in range(PHONON_AXIS.size)]
    found["training mean"], found["constant per element"] = [], []
    for atoms in part.structures:
        size = 1 if normalised else len(atoms)
        found["training mean"].append(size * per_atom.mean(axis=0))
        known = set(atoms.symbols) <= set(symbols)
        found["constant per element"].append(size * np.array(constants) @ fractions(atoms) if known else None)
    return found


def check_summaries(report, rows, output):
    """Means over the structures that all models can compute: all but gold."""
    summary = json.loads((report / "summary.json").read_text())
    assert [model["name"] for model in summary["models"]] == ["ensemble of 2", "8.pt", "6.pt"]
    assert [sum(model["left_out"].values()) for model in summary["models"]] == [1, 1, 1]
    assert all("Au" in reason for model in summary["models"] for reason in model["left_out"])
    by_model = {model["name"]: model["subsets"] for model in summary["models"]} | summary["baselines"]
    table = [without_units(row) for row in read_csv(report / "summary.csv")]
    assert len(table) == 3 * len(by_model)
    for line in table:
        name, subset = line.pop("model"), line.pop("subset")
        chosen = [r for r in rows if r["model"] == name and subset in (r["subset"], ALL) and "Au" not in r["formula"]]
        known = [r for r in chosen if r["rmse"]]
        assert float(line["structures"]) == by_model[name][subset]["structures"] == len(known)
        assert len(known) == {"crystal": 1, "molecule": 3, ALL: 4}[subset] - (name == "constant per element") * (
            subset != "molecule"
        )
        for key in ERRORS:
            if not known:
                assert line[key] == "" and by_model[name][subset][key] is None
                continue
            expected = np.mean([float(r[key]) for r in known])
            assert float(line[key]) == pytest.approx(expected, rel=1e-6)
            assert by_model[name][subset][key] == pytest.approx(expected, rel=1e-6)
    text = (report / "summary.txt").read_text()
    assert text in output
    (line, in_subsets) = (line for line in text.splitlines() if line.startswith("8.pt  "))
    values = by_model["8.pt"]
    assert [float(cell) for cell in line.split()[1:]] == pytest.approx(
        [values[ALL][key] for key in (*ERRORS, "structures")], rel=0.1
    )
    assert [float(cell) for cell in in_subsets.split()[1:]] == pytest.approx(
        [values[subset][key] for subset in ("molecule", "crystal") for key in ("rmse", "mae")], rel=0.1
    )
    assert "molecule (3)" in text and "crystal (1)" in text
    assert "8.pt leaves out 1 structure, which no model is compared on" in text


def test_what_was_predicted_is_kept(phonons, models, tmp_path, monkeypatch):
    report, part, predicted = tmp_path / "report", SpectraPart(phonons, "test"), []
    evaluate_spectra(models[:1], part, report, device="cpu")

    class Counted(SpectrumModel):
        def predict_checked(self, structures, **options):
            predicted.append(self.name)
            return super().predict_checked(structures, **options)

    monkeypatch.setattr(fixed_models, "SpectrumModel", Counted)
    evaluate_spectra(models, part, report, device="cpu")
    assert predicted == [str(models[1])]
    file = sorted(report.glob("predictions/*/*.npz"))[0]
    file.write_bytes(file.read_bytes()[:100])
    result = run(phonons, "-m", models[0], "-m", models[1], "-o", report)
    assert result.exit_code == 1 and "is damaged: expected" in result.output
    assert "delete it and run the same command to predict its structures again" in result.output


def test_nothing_else_is_overwritten(phonons, models, tmp_path):
    report = tmp_path / "report"
    report.mkdir()
    (report / "notes.txt").write_text("mine")
    result = run(phonons, "-m", models[0], "-o", report)
    assert result.exit_code == 1 and f"or an evaluation of {phonons} (test) to continue" in result.output
    assert [path.name for path in report.iterdir()] == ["notes.txt"]
    assert run(phonons, "-m", models[0], "-o", report, "--overwrite").exit_code == 0
    assert (report / "notes.txt").read_text() == "mine"
    result = run(phonons, "-m", models[0], "-o", phonons)
    assert result.exit_code == 1 and "because it would replace" in result.output


def test_options_and_models_that_do_not_fit(phonons, models, folder, level_file, tmp_path):
    report = tmp_path / "report"
    for options, message in (
        (["--rotations", "3"], "--rotations is an option of data sets of calculations, but"),
        (["--network-baseline"], "--network-baseline is an option of data sets of calculations"),
        (["--training-sizes", "3"], "--training-sizes is an option of data sets of calculations"),
        (["-m", level_file], "predicts no spectrum on a fixed axis"),
    ):
        result = run(phonons, "-m", models[0], *options, "-o", report)
        assert result.exit_code == 1 and message in result.output, result.output
    result = run(phonons, "-o", report)
    assert result.exit_code == 1 and "expected a model of mtt::phonon_dos (-m model.pt)" in result.output
    electrons = save_phonon_model(folder / "electrons.pt", (ELECTRONIC_DOS,), ELECTRON_AXIS)
    result = run(phonons, "-m", models[0], "-m", electrons, "-o", report)
    assert result.exit_code == 1
    assert "does not predict the spectrum 'mtt::phonon_dos', but mtt::electronic_dos" in result.output
    other = FixedAxis(0.0, 25.0, 41, "meV")
    shifted = save_phonon_model(folder / "shifted.pt", (PHONON_DOS,), other)
    result = run(phonons, "-m", models[0], "-m", shifted, "-o", report)
    assert result.exit_code == 1
    assert f"on the axis of {phonons}, {PHONON_AXIS}, but {shifted} predicts it at {other}" in result.output
    assert "--grid 0 1000 --step 25 --unit meV" in result.output
    assert not report.exists()  # nothing was computed
    (phonons / "other").mkdir()
    result = run(phonons / "other", "-m", models[0], "-o", report)
    assert result.exit_code == 1 and "expected a folder written by `electrain prepare`" in result.output


def test_without_a_training_part(models, tmp_path):
    data = write(rows_of(PHONON_AXIS), tmp_path / "spectra", "phonon", PHONON_AXIS)
    (data / "train.xyz").unlink()
    found = evaluate_spectra([models[0]], SpectraPart(data, "test"), tmp_path / "report", device="cpu")
    assert "baselines: none, because there is no training part" in report_text(found)
    assert list(found.summaries) == ["8.pt"] and len(report_figures(found)) == 2


def test_no_structure_in_common(folder, phonons, models, tmp_path):
    rows = [r for r in rows_of(PHONON_AXIS) if r["split"] != "test"]
    gold = row(bulk("Au"), "gold", PHONON_AXIS, "test", "crystal")
    data = write([*rows, gold], tmp_path / "gold", "phonon", PHONON_AXIS)
    with pytest.raises(ValueError, match=r"8.pt can compute none of the structures in .*test.xyz: .*Au"):
        evaluate_spectra([models[0]], SpectraPart(data, "test"), tmp_path / "report", device="cpu")


def test_unknown_channels_of_baselines(tmp_path):
    """Channels that no training structure knows do not make a prediction unknown."""
    rows = [row(molecule("H2"), f"{i}", ELECTRON_AXIS, part, "all") for i, part in enumerate(["train", "test"])]
    rows[0]["energies"], rows[0]["dos"] = rows[0]["energies"][:20], rows[0]["dos"][:20]
    rows.append({**rows[0], "id": "2", "split": "validation"})
    data = write(rows, tmp_path / "electrons", "electronic", ELECTRON_AXIS, **WINDOW)
    train, test = SpectraPart(data, "train"), SpectraPart(data, "test")
    assert np.isnan(train.spectra).any() and not np.isnan(test.spectra).any()
    found = baseline_spectra(train, test)
    assert all(np.isfinite(item.predicted).all() for item in found.values())
    np.testing.assert_allclose(found["training mean"].predicted[0, :20], train.spectra[0, :20], rtol=1e-7)


def electrons(number, seed, part, *, known=True):
    """The Fermi energy is that of the only peak, in the frame of the calculation."""
    random = np.random.default_rng(seed)
    rows = []
    for index in range(number):
        atoms = molecule(["H2", "N2", "O2"][index % 3])
        places = ELECTRON_AXIS.values().numpy()
        centre = random.uniform(-2.0, 2.0)
        peak = len(atoms) * np.exp(-0.5 * ((places - centre) / 0.8) ** 2)
        found = row(atoms, f"{part}-{index}", ELECTRON_AXIS, part, "all", fermi_energy=5.0 + centre if known else "")
        rows.append({**found, "dos": peak.tolist()})
    return rows


@pytest.fixture(scope="module", params=[None, "maximum"])
def levels(request, folder):
    """Spectra per structure, or normalised ones; one structure of the test set has no Fermi energy."""
    rows = [*electrons(40, 0, "train"), *electrons(12, 1, "validation"), *electrons(8, 2, "test")]
    rows += [{**electrons(1, 3, "test", known=False)[0], "id": "unknown"}]
    name = f"levels-{request.param}"
    return write(rows, folder / name, "electronic", ELECTRON_AXIS, normalize=request.param)


def test_fermi_energies(levels, folder, tmp_path):
    """Read from true spectra nearly without error; of a shifted spectrum they are off by its shift."""
    part = SpectraPart(levels, "test")
    name = ELECTRONIC_DOS if part.target == ELECTRONIC_DOS else ELECTRONIC_DOS_NORMALIZED
    file = save_phonon_model(folder / f"{name.removeprefix('mtt::')}.pt", (name,), ELECTRON_AXIS)
    found = evaluate_spectra([file], part, tmp_path / "report", device="cpu")
    values = found.summaries[file.name][ALL]
    true = part.fermi_energies[:-1]
    assert np.isnan(part.fermi_energies[-1])
    assert values["fermi_energy_rmse_true_dos"] < 0.1 * np.std(true)
    write_structures(tmp_path / "structures.csv", part, {**found.models, **found.baselines})
    rows = [without_units(row) for row in read_csv(tmp_path / "structures.csv")]
    mine = [r for r in rows if r["model"] == file.name]
    assert [float(r["Fermi energy"]) for r in mine[:-1]] == pytest.approx(true) and mine[-1]["Fermi energy"] == ""
    predicted = np.array([float(r["predicted Fermi energy"]) for r in mine])
    assert values["fermi_energy_rmse"] == pytest.approx(np.sqrt(np.mean((predicted[:-1] - true) ** 2)), rel=1e-6)
    assert values["fermi_energy_rmse"] > 3 * values["fermi_energy_rmse_true_dos"]
    text = report_text(found)
    assert "Fermi E. (eV)  Fermi E. of true DOS (eV)" in text and "trained on true spectra (40 training" in text
    # the training mean is the same spectrum for every structure, or atom
    means = [float(r["predicted Fermi energy"]) for r in rows if r["model"] == "training mean"]
    assert np.std(means) < 1e-4
    with open_job(tmp_path / "report" / "predictions") as job:  # the network is there: it is not trained again
        stored = trained_network(part, part, job)
    moved = np.roll(part.spectra, 2, axis=1)
    difference = stored.predict(part, moved) - stored.predict(part, part.spectra)
    inside = np.abs(true - 5.0) < 1.2
    np.testing.assert_allclose(difference[:-1][inside], 2 * ELECTRON_AXIS.step, atol=0.15)
    unknown = part.spectra.copy()
    unknown[0] = np.nan
    assert np.isnan(stored.predict(part, unknown)[0]) and np.isfinite(stored.predict(part, unknown)[1:]).all()


def test_no_fermi_energies(folder, tmp_path):
    """Where a part has none, the column is absent."""
    file = save_phonon_model(tmp_path / "model.pt", (ELECTRONIC_DOS,), ELECTRON_AXIS)
    for name, known in (("train", (False, True)), ("test", (True, False))):
        rows = [*electrons(6, 0, "train", known=known[0]), *electrons(3, 1, "validation", known=known[0])]
        rows += electrons(3, 2, "test", known=known[1])
        data = write(rows, tmp_path / name, "electronic", ELECTRON_AXIS)
        found = evaluate_spectra([file], SpectraPart(data, "test"), tmp_path / f"report-{name}", device="cpu")
        assert "Fermi E." not in report_text(found)


def test_the_network_has_four_layers():
    layers = [layer for layer in FermiEnergyNetwork(33).layers if hasattr(layer, "weight")]
    assert [tuple(layer.weight.shape) for layer in layers] == [(256, 33), (256, 256), (256, 256), (1, 256)]


def test_the_validation_part_ends_the_training(levels):
    """With Fermi energies that are those of other spectra, nothing is gained after some epochs, which are not kept."""
    train, validation = _pairs(SpectraPart(levels, "train")), _pairs(SpectraPart(levels, "validation"))
    wrong = (validation[0], 10.0 - validation[1])
    epochs = []
    torch.manual_seed(0)
    kept, trained = _train(train, wrong, epochs.append), _train(train, validation, lambda number: None)
    assert PATIENCE <= len(epochs) < 2 * PATIENCE
    with torch.no_grad():
        kept_error, error = (float((network(wrong[0]) - wrong[1]).square().mean()) for network in (kept, trained))
    assert kept_error < 0.5 * error
