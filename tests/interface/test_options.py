"""Wrong options are refused when metatrain validates them, by name, with what was expected and what came."""

import importlib.util
import math
from pathlib import Path

import pytest
from metatrain.utils.architectures import check_architecture_options, get_default_hypers
from metatrain.utils.omegaconf import default_huber_loss_delta
from metatrain.utils.pydantic import get_train_json_schema

from electrain.architectures.pet_mad.documentation import ModelHypers, TrainerHypers
from electrain.interface.metatrain_errors import OptionsError
from electrain.interface.option_types import describe, options_of, tables_in
from electrain.training.hypers import GradientLossHypers

ROOT = Path(__file__).parents[2]
AXIS = {"start": -20.0, "step": 0.05, "size": 760, "max_shift": 40}


def check(section, **changes):
    options = get_default_hypers("pet_mad")
    options[section].update(changes)
    check_architecture_options("pet_mad", options)


PHONON_AXIS = {"start": 0.0, "step": 20.0, "size": 51, "unit": "cm^-1"}


def message(section, **changes) -> list[str]:
    """The lines of the error, without its head."""
    with pytest.raises(OptionsError) as error:
        check(section, **changes)
    head, *lines = str(error.value).split("\n  ")
    assert head.startswith("An option is wrong" if len(lines) == 1 else f"{len(lines)} options are wrong")
    assert "docs/options.md" in head
    return lines


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"energy_grid": AXIS},
        {"fixed_axes": {"mtt::phonon_dos": PHONON_AXIS}},
        {"energy_grid": {**AXIS, "smearing": None, "valence_electrons": None}},
        {
            "energy_grid": {
                **AXIS,
                "smearing": 0.3,
                "reference": "Fermi level",
                "valence_electrons": {"Si": 4, "No": 16.0},
            }
        },
        {"cutoff": 5, "cutoff_width": 5, "num_neighbors_adaptive": 12, "num_heads": 1},
        {"long_range": {"enable": True, "smearing": 1, "kspace_resolution": 1, "interpolation_nodes": 3}},
    ],
)
def test_right_options_of_the_model(changes):
    check("model", **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "huber", "num_epochs": 1, "warmup_epochs": 0, "grad_clip_norm": math.inf, "num_workers": 0},
        {"loss": {"mtt::dos": {"weight": 0.05, "gradient_weight": 0, "cumulative_weight": 1e-3}, "energy": "mae"}},
        {"loss": {"energy": {"weight": 0.1, "forces": {"weight": 1, "type": "huber", "delta": 0.1}, "stress": "mae"}}},
        # as metatrain writes it into options_restart.yaml
        {
            "loss": {
                "mtt::dos": {"type": "mse", "weight": 1.0, "reduction": "mean", "gradients": {}},
                "energy": {"type": "mse", "weight": 1, "gradients": {"strain": {"type": "mse", "weight": 1.0}}},
            }
        },
        {"max_atoms_per_batch": 100, "min_atoms_per_batch": 100},
        {"atomic_baseline": {"energy": {14: -1, 6: 2.0}, "other": 0}, "fixed_scaling_weights": {"energy": 1}},
        {"atomic_baseline": "composition_model.ckpt"},
        # read again by metatrain, which reports a missing file: a restart does not need it
        {"finetune": {"read_from": "base.ckpt", "method": "lora", "config": {"rank": 4, "alpha": 2}}},
    ],
)
def test_right_options_of_the_training(changes):
    check("training", **changes)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"energy_grid": {**AXIS, "smearing": -0.3}},
            "energy_grid.smearing: expected a number > 0 (eV) or null, got -0.3",
        ),
        ({"energy_grid": {**AXIS, "smearing": 0}}, "energy_grid.smearing: expected a number > 0 (eV) or null, got 0"),
        ({"energy_grid": {**AXIS, "start": math.nan}}, "energy_grid.start: expected a finite number (eV), got nan"),
        ({"energy_grid": {**AXIS, "step": -0.05}}, "energy_grid.step: expected a number > 0 (eV), got -0.05"),
        ({"energy_grid": {**AXIS, "size": 760.0}}, "energy_grid.size: expected a whole number >= 2, got 760.0"),
        (
            {"energy_grid": {**AXIS, "reference": "vacuum"}},
            'energy_grid.reference: expected "Fermi level", got "vacuum"',
        ),
        (
            {"energy_grid": {**AXIS, "max_shift": 5000}},
            "energy_grid: expected a largest shift (max_shift) of 0 to 759 channels, less than the whole axis, "
            "got 5000",
        ),
        (
            {"energy_grid": {**AXIS, "step": 1 / 3}},
            "energy_grid: start and step of an energy grid must be multiples of 1e-6 eV, got -20 ... 233 eV in steps "
            "of 0.333333 eV (760 channels)",
        ),
        (
            {"energy_grid": {"start": 0.0, "step": 0.05, "size": 760}},
            "energy_grid.max_shift: expected a whole number >= 0 (channels), but it is missing",
        ),
        (
            {"fixed_axes": {"mtt::phonon_dos": {**PHONON_AXIS, "unit": "Hartree"}}},
            'fixed_axes.mtt::phonon_dos.unit: expected eV, meV, THz or "cm^-1", got "Hartree"',
        ),
        (
            {"fixed_axes": {"mtt::phonon_dos": {**PHONON_AXIS, "start": -100.0}}},
            "fixed_axes: expected frequencies from 0 on for 'mtt::phonon_dos', got an axis that begins at -100 cm^-1; "
            "negative frequencies stand for imaginary ones, of which there are no states in a stable crystal",
        ),
        (
            {"fixed_axes": {"mtt::dos": PHONON_AXIS}},
            "fixed_axes: expected the axis of a target that has a fixed one (mtt::electronic_dos, mtt::local_dos, "
            "mtt::electronic_dos_normalized, mtt::phonon_dos, mtt::phonon_dos_normalized), got 'mtt::dos'; its axis is "
            "`energy_grid`",
        ),
        ({"energy_grid": "data"}, 'energy_grid: expected a table of options or null, got "data"'),
        (
            {"energy_grid": {**AXIS, "smeering": 0.3}},
            "energy_grid.smeering: there is no such option; did you mean smearing?",
        ),
        (
            {"energy_grid": {**AXIS, "valence_electrons": {"Alx": 3}}},
            "energy_grid.valence_electrons: expected a chemical symbol, got 'Alx'; did you mean Al?",
        ),
        (
            {"energy_grid": {**AXIS, "valence_electrons": {"al": 3}}},
            "energy_grid.valence_electrons: expected a chemical symbol, got 'al'; did you mean Al?",
        ),
        (
            {"energy_grid": {**AXIS, "valence_electrons": {False: 16}}},
            'energy_grid.valence_electrons: expected a chemical symbol, got False; put "No" in quotes',
        ),
        (
            {"energy_grid": {**AXIS, "valence_electrons": {"X": 3}}},
            "energy_grid.valence_electrons: expected a chemical symbol, got 'X'; did you mean Xe?",
        ),
        (
            {"energy_grid": {**AXIS, "valence_electrons": {"Al": 14}}},
            "energy_grid.valence_electrons: expected at most 13 valence electrons for Al, which has no more electrons, "
            "got 14",
        ),
        (
            {"energy_grid": {**AXIS, "valence_electrons": {"Al": -3}}},
            "energy_grid.valence_electrons.Al: expected a number > 0 (electrons), got -3",
        ),
        ({"cutoff": 1e9}, "cutoff: expected a number > 0 and <= 30 (Angstrom), got 1000000000.0"),
        ({"cutoff": 0}, "cutoff: expected a number > 0 and <= 30 (Angstrom), got 0"),
        ({"cutoff": "4.5"}, 'cutoff: expected a number > 0 and <= 30 (Angstrom), got "4.5"'),
        ({"cutoff": math.inf}, "cutoff: expected a finite number > 0 and <= 30 (Angstrom), got inf"),
        ({"cutoff_width": 4.6}, "cutoff_width: expected at most `cutoff`, which is 4.5, got 4.6"),
        ({"edge_width": 0}, "edge_width: expected a whole number >= 1, got 0"),
        ({"edge_width": -4}, "edge_width: expected a whole number >= 1, got -4"),
        (
            {"dropout": 0.1},
            "dropout: expected 0.1 with `spectrum_head: shifted_parts` only, got `spectrum_head: linear`",
        ),
        (
            {"radial_descriptors": 6.0},
            "radial_descriptors: expected 6.0 with `spectrum_head: shifted_parts` only, got `spectrum_head: linear`",
        ),
        ({"edge_width": 4}, "num_heads: expected a divisor of `edge_width`, which is 4, got 8"),
        ({"num_heads": True}, "num_heads: expected a whole number >= 1, got true"),
        ({"zbl": "yes"}, 'zbl: expected true or false, got "yes"'),
        ({"featurizer": "resdual"}, 'featurizer: expected residual or feedforward, got "resdual"'),
        ({"cuttoff": 5.0}, "cuttoff: there is no such option; did you mean cutoff?"),
        ({"num_epochs": 5}, "num_epochs: there is no such option here; it belongs under architecture.training"),
        ({"colour": "red"}, "colour: there is no such option"),
        (
            {"long_range": {"enable": False, "smearing": 1.4, "kspace_resolution": 1.3, "interpolation_nodes": 7}},
            "long_range.interpolation_nodes: expected a whole number, 1 to 5, got 7",
        ),
    ],
)
def test_wrong_options_of_the_model(changes, expected):
    assert message("model", **changes) == [f"architecture.model.{expected}"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"num_epochs": 0}, "num_epochs: expected a whole number >= 1 (epochs), got 0"),
        ({"num_epochs": -1}, "num_epochs: expected a whole number >= 1 (epochs), got -1"),
        ({"learning_rate": -1e-3}, "learning_rate: expected a number > 0, got -0.001"),
        ({"checkpoint_interval": 0}, "checkpoint_interval: expected a whole number >= 1 (epochs), got 0"),
        ({"num_workers": -1}, "num_workers: expected a whole number >= 0 or null, got -1"),
        ({"distributed_port": 70000}, "distributed_port: expected a whole number, 1 to 65535, got 70000"),
        ({"edge_width": 8}, "edge_width: there is no such option here; it belongs under architecture.model"),
        ({"loss": "msse"}, 'loss: expected mse, mae, huber, rmse or wasserstein, or a table, got "msse"'),
        (
            {"loss": {"energy": 3}},
            "loss.energy: expected a table of options, or mse, mae, huber, rmse or wasserstein, got 3",
        ),
        ({"loss": {"mtt::dos": {"weight": -1}}}, "loss.mtt::dos.weight: expected a number >= 0, got -1"),
        ({"loss": {"mtt::dos": {"weight": math.nan}}}, "loss.mtt::dos.weight: expected a finite number >= 0, got nan"),
        (
            {"loss": {"mtt::dos": {"gradient_weight": -1.0}}},
            "loss.mtt::dos.gradient_weight: expected a number >= 0 (eV^2), got -1.0",
        ),
        ({"loss": {"energy": {"wieght": 1}}}, "loss.energy.wieght: there is no such option; did you mean weight?"),
        (
            {"loss": {"energy": {"forces": {"weight": -0.1}}}},
            "loss.energy.forces.weight: expected a number >= 0, got -0.1",
        ),
        (
            {"loss": {"energy": {"gradients": {"position": "mse"}}}},
            'loss.energy.gradients: expected positions or strain, got "position"',
        ),
        (
            {"loss": {"energy": {"reduction": "none"}}},
            'loss.energy.reduction: expected mean or sum, got "none"',
        ),
        (
            {"min_atoms_per_batch": 4},
            "min_atoms_per_batch: expected 0 without `max_atoms_per_batch`, which packs batches by atoms, got 4",
        ),
        (
            {"min_atoms_per_batch": 4, "max_atoms_per_batch": 3},
            "min_atoms_per_batch: expected at most `max_atoms_per_batch`, which is 3, got 4",
        ),
        (
            {"atomic_baseline": {"energy": {119: 1.0}}},
            "atomic_baseline.energy: expected an atomic number, 1 to 118, got 119",
        ),
        (
            {"atomic_baseline": {"energy": {14: math.inf}}},
            "atomic_baseline.energy.14: expected a finite number, got inf",
        ),
        (
            {"fixed_scaling_weights": {"energy": 0}},
            "fixed_scaling_weights.energy: expected a number > 0, or a table, each entry a number > 0, got 0",
        ),
        ({"per_structure_targets": ["energy", 3]}, "per_structure_targets.1: expected a text, got 3"),
        ({"finetune": "base.ckpt"}, 'finetune: expected a table of options, got "base.ckpt"'),
        (
            {"finetune": {"read_from": "base.ckpt", "config": {"rank": 0}}},
            "finetune.config.rank: expected a whole number >= 1, got 0",
        ),
        (
            {"finetune": {"read_from": __file__}},
            f"finetune.read_from: {__file__} is not a checkpoint, or incomplete; expected a .ckpt file written by "
            "`mtt train`",
        ),
    ],
)
def test_wrong_options_of_the_training(changes, expected):
    assert message("training", **changes) == [f"architecture.training.{expected}"]


def test_all_wrong_options_at_once():
    found = message("model", cutoff=0, edge_width=-4, cuttoff=3.0, energy_grid={**AXIS, "smearing": -1.0})
    names = ["energy_grid.smearing", "cutoff", "edge_width", "cuttoff"]
    assert [line.split(":")[0] for line in found] == [f"architecture.model.{name}" for name in names]


def numbers():
    """All options that are numbers, also those of tables inside of others."""
    tables = {"model": [ModelHypers], "training": [TrainerHypers]}
    for section, known in tables.items():
        for table in known:
            for name, option in options_of(table).items():
                inner = [other for other in tables_in(option) if other not in known]
                known += inner
                if "number" in describe(option) and "table" not in describe(option):
                    yield pytest.param(option, id=f"{section}-{table.__name__}-{name}")


@pytest.mark.parametrize("option", list(numbers()))
def test_every_number_has_a_range(option):
    """But for the start of an axis, which is finite."""
    accepted = describe(option)
    assert ">" in accepted or " to " in accepted or accepted in ("a number", "a number (eV)")


def test_long_range_features_need_a_package(monkeypatch):
    monkeypatch.setattr("electrain.architectures.base.hypers.find_spec", lambda name: None)
    settings = {"enable": True, "smearing": 1.4, "kspace_resolution": 1.33, "interpolation_nodes": 5}
    (line,) = message("model", long_range=settings)
    assert line.endswith("enable: long-range features need the package torch-pme: pip install 'electrain[long-range]'")
    check("model", long_range={**settings, "enable": False})


def test_the_schema_of_metatrain_has_the_ranges():
    """Editors that complete options files read it; the check of all options together must not hide it."""
    known = get_train_json_schema(allow_missing_hypers=True)["$defs"]
    (cutoff,) = {str(table["properties"]["cutoff"]) for name, table in known.items() if _is_ours(table)}
    assert "'exclusiveMinimum': 0" in cutoff


def _is_ours(table):
    return {"cutoff", "spectrum_head"} <= set(table.get("properties", {}))


def test_defaults_of_metatrain():
    assert GradientLossHypers.delta == default_huber_loss_delta()


def test_the_page_of_all_options_is_up_to_date():
    """Otherwise run `python docs/make_options.py`."""
    spec = importlib.util.spec_from_file_location("make_options", ROOT / "docs" / "make_options.py")
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    text = maker.page()
    assert text == maker.PAGE.read_text(encoding="utf-8"), "run `python docs/make_options.py`"
    for name in [*options_of(ModelHypers), *options_of(TrainerHypers)]:
        assert f"| `{name}` |" in text
    assert "| `cutoff` | `4.5` | a number > 0 and <= 30 (Angstrom) | Cutoff radius. " in text
