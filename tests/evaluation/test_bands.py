"""`electrain evaluate` on bands along paths: every number against slow loops, and what can go wrong."""

import csv
import json
import math

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from band_models import bands_info, cubic_crystal, make_model
from band_paths import as_frame, band_energies, made_up_bands
from phonons import PHONON_DOS, save_phonon_model
from typer.testing import CliRunner

import electrain.evaluation.bands.models as band_models_of_evaluation
import electrain.evaluation.bands.report as report_of_bands
from electrain.bands import BandStructure, KPath, band_gap, k_path
from electrain.calculators import BandModel
from electrain.cli import app
from electrain.data.bands import prepare_bands
from electrain.data.bands.reading import BandsPart, has_bands
from electrain.evaluation.bands.baselines import MEAN_BANDS, NEAREST_COMPOUND, baseline_bands
from electrain.evaluation.bands.errors import METALS, NON_METALS, gaps_of
from electrain.evaluation.bands.labels import with_labels
from electrain.evaluation.bands.prototypes import distances, group_of, nearest_compounds
from electrain.evaluation.bands.report import evaluate_bands, report_figures, report_text
from electrain.evaluation.summary import ALL

pytestmark = pytest.mark.usefixtures("no_summary")

NUM_BANDS, NUM_K = 4, 14
SIZES = {"num_bands": NUM_BANDS, "num_k_points": NUM_K}
ERRORS = ("center", "dispersion", "energy", "gap")


def frame(atoms, part, subset, seed, *, gap=1.0, num_bands=10, num_electrons=8.0):
    """Made-up bands of a structure; those of a negative gap overlap."""
    k_points = made_up_bands(atoms, letters="GX").k_points if len(atoms) == 1 else made_up_bands(atoms).k_points
    energies = band_energies(k_points, seed=seed, gap=gap)[:, 4 - int(num_electrons / 2) :][:, :num_bands]
    bands = BandStructure(atoms, k_points, energies[None], 0.1, num_electrons=num_electrons)
    name = f"{part}-{atoms.get_chemical_formula()}-{seed}"
    return as_frame(bands, id=name, split=part, subset=subset)


def frames():
    """Hydrogen has one filled band, so that the lowest of four does not exist; models do not know germanium."""
    silicon_carbide = bulk("SiC", "zincblende", a=4.36)
    return [
        frame(bulk("Si"), "train", "elements", 0),
        frame(bulk("C"), "train", "elements", 1, gap=-1.5),
        frame(bulk("CO", "zincblende", a=4.4), "train", "compounds", 2),
        frame(cubic_crystal(2.5), "train", "elements", 3, num_electrons=2.0),
        frame(bulk("Si", a=5.6), "validation", "elements", 4),
        frame(silicon_carbide, "test", "compounds", 5),
        frame(bulk("SiO", "rocksalt", a=4.8), "test", "compounds", 6, gap=-1.5),
        frame(bulk("C", a=3.7), "test", "elements", 7, gap=-1.0),
        frame(cubic_crystal(2.8), "test", "elements", 8, num_electrons=2.0),
        frame(bulk("Ge"), "test", "elements", 9),
    ]


def write(structures, folder, **sizes):
    folder.mkdir()
    ase.io.write(folder / "bands.xyz", structures, format="extxyz")
    prepare_bands([folder / "bands.xyz"], folder / "data", **{**SIZES, "split": None, **sizes})
    return folder / "data"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bands")


@pytest.fixture(scope="module")
def models(folder):
    files = [folder / f"{seed}.pt" for seed in range(2)]
    for seed, file in enumerate(files):
        make_model(bands_info(**SIZES), seed=seed, **SIZES).export().save(file)
    return files


@pytest.fixture
def data(tmp_path):
    return write(frames(), tmp_path / "source")


def run(*arguments):
    return CliRunner().invoke(app, ["evaluate", *map(str, arguments)])


def read_csv(path):
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def without_units(row):
    return {heading.partition(" (")[0]: cell for heading, cell in row.items()}


def slow_gap(energies, part, index):
    known = np.array([band for band in energies if not np.isnan(band).any()])
    bands = BandStructure(part.structures[index], part.k_points[index], np.sort(known, axis=0).T[None], 0.0)
    found = band_gap(bands)
    return 0.0 if found is None else found.energy


def slow_errors(prediction, part, index):
    """Errors of one structure, energy by energy."""
    target = part.energies[index]
    centers, dispersions, energies = [], [], []
    for predicted, true in zip(prediction, target, strict=True):
        if any(map(math.isnan, true)):
            continue
        center = sum(predicted) / NUM_K, sum(true) / NUM_K
        centers.append(abs(center[0] - center[1]))
        for p, t in zip(predicted, true, strict=True):
            dispersions.append(abs((p - center[0]) - (t - center[1])))
            energies.append(abs(p - t))
    gaps = slow_gap(prediction, part, index), slow_gap(target, part, index)
    return {
        "center": sum(centers) / len(centers),
        "dispersion": sum(dispersions) / len(dispersions),
        "energy": sum(energies) / len(energies),
        "gap": abs(gaps[0] - gaps[1]) if gaps[1] else None,
        "gaps": gaps,
    }


def slow_predictions(part, train, models):
    """Of the report's models and baselines, by name: a list of bands, None for those without."""
    found = {}
    for path in models:
        model = BandModel(path, "cpu")
        found[path.name] = [
            None if "Ge" in atoms.symbols else model.along([KPath(atoms, part.k_points[i], ())])[0].energies[0].T
            for i, atoms in enumerate(part.structures)
        ]
    pairs = zip(*found.values(), strict=True)
    found["ensemble of 2"] = [None if one is None else (one + other) / 2 for one, other in pairs]
    mean = np.array([[np.nanmean(train.energies[:, n, k]) for k in range(NUM_K)] for n in range(NUM_BANDS)])
    found[MEAN_BANDS] = [np.sort(mean, axis=0)] * len(part)
    # SiC: CO is zincblende; SiO has no prototype: CO is closer than the elements; then C, H, and Ge: Si is diamond, too
    nearest = [2, 2, 1, 3, 0]
    found[NEAREST_COMPOUND] = [
        np.sort(np.where(np.isnan(train.energies[i]), mean, train.energies[i]), axis=0) for i in nearest
    ]
    return found


def test_the_report(data, models, tmp_path):
    """The files that a user finds; numbers of models and baselines against slow loops."""
    result = run(data, "-m", models[0], "-m", models[1], "-o", tmp_path / "report", "--ensemble")
    assert result.exit_code == 0, result.output
    part, train = BandsPart(data, "test"), BandsPart(data, "train")
    assert np.isnan(part.energies[3, 0]).all() and np.isfinite(part.energies[3, 1:]).all()
    expected = slow_predictions(part, train, models)
    rows = [without_units(row) for row in read_csv(tmp_path / "report" / "structures.csv")]
    assert len(rows) == len(part) * len(expected) == 25
    for row in rows:
        index = int(row["number"])
        prediction = expected[row["model"]][index]
        assert row["id"] == part.entries[index].name and row["subset"] == part.entries[index].subset
        assert bool(row["left out"]) == (prediction is None)
        if prediction is None:
            assert not any(row[name] for name in (*ERRORS, "predicted gap"))
            continue
        values = slow_errors(prediction, part, index)
        for name in ERRORS:
            if values[name] is None:
                assert row[name] == ""
            else:
                assert float(row[name]) == pytest.approx(values[name], rel=1e-6, abs=1e-7), (row["model"], name)
        assert (float(row["predicted gap"]), float(row["true gap"])) == pytest.approx(values["gaps"], abs=1e-7)
        assert bool(row["taken from"]) == (row["model"] == NEAREST_COMPOUND)
    check_summaries(tmp_path / "report", rows, result.output)
    names = {path.name for path in (tmp_path / "report" / "figures").iterdir()}
    figures = ("band_parity", "error_violins", "error_distribution", "examples")
    assert names == {f"{name}.{ending}" for name in figures for ending in ("png", "pdf")}


def check_summaries(report, rows, output):
    """Means over the structures that all models can compute: all but germanium."""
    summary = json.loads((report / "summary.json").read_text())
    assert summary["bands"] == SIZES and summary["labels"]["energy"] == "band energy (eV)"
    assert [model["name"] for model in summary["models"]] == ["ensemble of 2", "0.pt", "1.pt"]
    assert all(list(model["left_out"].values()) == [1] for model in summary["models"])
    by_model = {model["name"]: model["subsets"] for model in summary["models"]} | summary["baselines"]
    members = {
        "elements": lambda row: row["subset"] == "elements",
        "compounds": lambda row: row["subset"] == "compounds",
        NON_METALS: lambda row: float(row["true gap"]) > 0,
        METALS: lambda row: float(row["true gap"]) == 0,
        ALL: lambda row: True,
    }
    table = [without_units(row) for row in read_csv(report / "summary.csv")]
    assert len(table) == len(members) * len(by_model)
    for line in table:
        name, subset = line.pop("model"), line.pop("subset")
        chosen = [r for r in rows if r["model"] == name and members[subset](r) and "Ge" not in r["formula"]]
        for key in ERRORS:
            known = [float(r[key]) for r in chosen if r[key]]
            if not known:
                assert line[key] == "" and by_model[name][subset][key] is None
            else:
                assert float(line[key]) == pytest.approx(np.mean(known), rel=1e-6)
        gaps = [(float(r["true gap"]), float(r["predicted gap"])) for r in chosen]
        counts = {
            "non_metals": sum(true > 0 for true, _ in gaps),
            "non_metals_right": sum(true > 0 and predicted > 0 for true, predicted in gaps),
            "metals": sum(true == 0 for true, _ in gaps),
            "metals_right": sum(true == 0 and predicted == 0 for true, predicted in gaps),
            "structures": len(gaps),
        }
        assert {key: int(line[key]) for key in counts} == counts
        assert {key: by_model[name][subset][key] for key in counts} == counts
    assert by_model["0.pt"][ALL]["non_metals"] == by_model["0.pt"][ALL]["metals"] == 2
    text = (report / "summary.txt").read_text()
    assert text in output
    assert "non-metals right of 2" in text and "metals right of 2" in text and f"{NON_METALS} (2)" in text
    assert "taken from 4 training structures; 3 of 4 structures have the prototype of one of them" in text
    assert "0.pt leaves out 1 structure, which no model is compared on: the model does not know Ge" in text


def test_what_was_predicted_is_kept(data, models, tmp_path, monkeypatch):
    report, part, predicted = tmp_path / "report", BandsPart(data, "test"), []
    evaluate_bands(models[:1], part, report, device="cpu")

    class Counted(BandModel):
        def along(self, paths):
            predicted.append((self.name, len(paths)))
            return super().along(paths)

    monkeypatch.setattr(band_models_of_evaluation, "BandModel", Counted)
    evaluate_bands(models, part, report, device="cpu", batch_size=3)
    assert predicted == [(str(models[1]), number) for number in (1, 1, 2)]  # of 2, 2, 2 and 1 atoms


def test_options_and_models_that_do_not_fit(data, models, tmp_path):
    report, other = tmp_path / "report", tmp_path / "other.pt"
    sizes = {"num_bands": 2, "num_k_points": 20}
    make_model(bands_info(**sizes), **sizes).export().save(other)
    phonons = save_phonon_model(tmp_path / "phonons.pt", (PHONON_DOS,))
    for arguments, message in (
        (
            ["-m", models[0], "--rotations", "3"],
            f"--rotations is an option of data sets of calculations, but {data} has",
        ),
        (["-m", models[0], "-m", phonons], "predicts no bands (mtt::bands), but mtt::phonon_dos"),
        (
            ["-m", other],
            f"expected a model of 4 bands at 14 k-points, as in {data}, but {other} predicts 2 bands at 20",
        ),
        (["-m", other], "`electrain prepare --bands ... --num-bands 2 --num-k-points 20`"),
        ([], "expected a model of mtt::bands (-m model.pt); none comes with electrain"),
        (["-m", tmp_path / "none.pt"], "none.pt"),
    ):
        result = run(data, *arguments, "-o", report)
        assert result.exit_code == 1 and message in result.output, result.output
    assert not report.exists()  # nothing was computed
    assert has_bands(data) and not has_bands(data.parent)


def test_parts_without_structures(models, tmp_path, monkeypatch):
    monkeypatch.setattr(report_of_bands, "write_figures", lambda *_: None)
    data = write([one for one in frames() if one.info["split"] != "test"], tmp_path / "source")
    result = run(data, "-m", models[0], "-o", tmp_path / "report")
    assert result.exit_code == 1
    assert f"expected structures in the part 'test' of {data}, which has none (train 4, validation 1)" in result.output
    result = run(data, "-m", models[0], "-o", tmp_path / "report", "--part", "validation")
    assert result.exit_code == 0 and "part validation, 1 structure" in result.output


def test_files_that_do_not_agree_with_the_manifest(data):
    manifest = json.loads((data / "manifest.json").read_text())
    manifest["bands"]["num_k_points"] = 15
    (data / "manifest.json").write_text(json.dumps(manifest))
    expected = r"test.xyz, structure 0: expected 4 bands at 15 k-points, which are 60 energies, got 56"
    with pytest.raises(ValueError, match=expected):
        BandsPart(data, "test")


@pytest.mark.parametrize("form", ["zip", "memmap"])
def test_other_formats(data, tmp_path, form):
    other = BandsPart(write(frames(), tmp_path / form, form=form), "test")
    part = BandsPart(data, "test")
    np.testing.assert_allclose(other.energies, part.energies, atol=1e-5)
    np.testing.assert_allclose(other.k_points, part.k_points, atol=1e-7)
    assert other.entries == part.entries


def test_without_a_training_part(data, models, tmp_path):
    (data / "train.xyz").unlink()
    found = evaluate_bands([models[0]], BandsPart(data, "test"), tmp_path / "report", device="cpu")
    assert "baselines: none, because there is no training part" in report_text(found)
    assert list(found.summaries) == ["0.pt"]


def test_several_reasons_are_all_told(models, tmp_path):
    more = [*frames(), frame(bulk("Al"), "test", "elements", 3), frame(bulk("Ge", a=5.7), "test", "elements", 3)]
    data = write(more, tmp_path / "source")
    found = evaluate_bands([models[0]], BandsPart(data, "test"), tmp_path / "report", device="cpu")
    expected = "leaves out 3 structures, which no model is compared on: the model does not know Ge (2); the model does "
    assert f"{expected}not know Al (1)" in report_text(found)


def test_the_training_set_is_no_neighbor_of_itself(data):
    train = BandsPart(data, "train")
    found = baseline_bands(train, train)
    # C has the prototype of Si, the others have none: H is closer to C, and Si, between C and O, as close to CO as C is
    assert found.nearest.indices.tolist() == [1, 0, 0, 1]
    assert found.nearest.same_prototype.tolist() == [True, True, False, False]


def test_groups_of_the_periodic_table():
    names = {1: "H Li Na K Rb Cs Fr", 2: "Be Ra", 3: "Sc Y La Ce Lu Ac U Lr", 4: "Ti Hf", 12: "Zn Hg", 13: "B Al Tl"}
    names |= {14: "C Pb", 17: "F Ts", 18: "He Ne Ar Rn Og"}
    for group, symbols in names.items():
        assert {group_of(number) for number in Atoms(symbols.split()).numbers} == {group}, symbols


def test_the_distance_of_compositions():
    """One atom in three moves by one step, H to Li; the order of the atoms and the size of the cell do not matter."""
    lithium, hydrogen = Atoms("LiOH"), Atoms("H2O")
    assert distances(lithium, [hydrogen, Atoms("HOLiHOLi"), Atoms("Li2O")]) == pytest.approx([1 / 3, 0.0, 1 / 3])
    salts = [Atoms("NaCl"), Atoms("KBr"), Atoms("MgO")]
    assert distances(Atoms("NaBr"), salts).argmin() == 0
    assert distances(Atoms("NaBr"), salts[:2])[0] == pytest.approx(distances(Atoms("NaBr"), salts[:2])[1])


def test_the_prototype_comes_before_the_composition():
    training = [bulk("Na", "bcc", a=4.2), bulk("MgS", "rocksalt", a=5.2), bulk("LiF", "rocksalt", a=4.0)]
    found = nearest_compounds(
        training, [bulk("NaCl", "rocksalt", a=5.6), bulk("CsCl", "cesiumchloride", a=4.1)], leave_out_own=False
    )
    assert found.indices.tolist() == [2, 2] and found.same_prototype.tolist() == [True, False]
    alone = nearest_compounds(training[:1], training[:1], leave_out_own=True)
    assert alone.indices.tolist() == [-1] and not alone.same_prototype.any()


def test_gaps(data):
    part = BandsPart(data, "test")
    flat = np.repeat(np.arange(4.0)[:, None], NUM_K, axis=1)
    crossing = flat - 1.5 + np.where(np.arange(NUM_K) % 2, 0.7, -0.7)
    for energies, expected in (
        (flat - 1.5, 1.0),
        (crossing, 0.0),
        (np.where([[True], [True], [False], [False]], flat - 1.5, np.nan), math.nan),  # no empty band is known
        (flat * math.nan, math.nan),
        (flat[::-1] - 0.75, 1.0),
    ):
        found = gaps_of(part, np.repeat(energies[None], len(part), axis=0))
        np.testing.assert_allclose(found, [expected] * len(part))


def test_names_of_points():
    """Those of the path in any sampling; none along another path, or in another cell."""
    pytest.importorskip("pymatgen")
    path, finer = k_path(bulk("Si"), 30), k_path(bulk("Si"), 61)

    def bands(atoms, k_points):
        return BandStructure(atoms, k_points, np.zeros((1, len(k_points), 1)), 0.0)

    for known in (path, finer):
        assert with_labels(bands(known.atoms, known.k_points)).labels == known.labels
    beyond = np.concatenate([path.k_points, path.k_points[-2:-1]])
    for k_points in (path.k_points[:-1], beyond, beyond[::-1]):
        assert with_labels(bands(path.atoms, k_points)).labels == ()
    assert with_labels(bands(bulk("Si", cubic=True), path.k_points)).labels == ()


def test_examples(models, tmp_path):
    """One crystal in each quintile, from the best to the worst, on the zero of the calculation."""
    structures = [frame(bulk("Si", a=5.0 + 0.1 * i), "test", "all", i, gap=1.0 + i) for i in range(10)]
    part = BandsPart(write([*structures, *frames()[:5]], tmp_path / "ten"), "test")
    evaluation = evaluate_bands([models[0]], part, tmp_path / "report", device="cpu")
    model = evaluation.models["0.pt"]
    order = np.argsort(model.errors["energy"])
    panels = {figure.name: figure.figure for figure in report_figures(evaluation)}["examples"].axes
    for quintile, panel in enumerate(panels):
        index = order[2 * quintile]
        error = f"MAE {model.errors['energy'][index]:.2g} eV"
        assert panel.get_title(loc="left").startswith(f"Q{quintile + 1}:  ") and error in panel.get_title(loc="left")
        lines = np.array([line.get_ydata() for line in panel.lines if len(line.get_ydata()) == NUM_K])
        np.testing.assert_allclose(lines[:NUM_BANDS], part.energies[index])
        np.testing.assert_allclose(lines[NUM_BANDS:], model.predicted[index])
    assert len(panels) == 5
