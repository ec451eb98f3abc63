"""A new quantity is one row of the table: it goes from a calculation to the files of a data set and back."""

import dataclasses
import json

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import all_properties
from metatrain.utils.data.get_dataset import get_dataset
from metatrain.utils.omegaconf import expand_dataset_config
from omegaconf import OmegaConf

from electrain.data import calculation_from_atoms, make_sample, prepare_dataset, read_extended_xyz
from electrain.data.reading import PreparedPart
from electrain.interface.quantities import DENSITY_OF_STATES, QUANTITIES, Quantity, gradients_of, in_data_sets

pytestmark = pytest.mark.usefixtures("no_summary")

ROWS = {
    "number": Quantity("mtt::work", "work function", "work functions", unit="eV", key="work_function"),
    "vector": Quantity("mtt::polarisation", "polarisation", unit="e*A", key="polarisation", shape=(3,)),
    "number per atom": Quantity("mtt::charge", "charges", unit="e", key="bader_charges", per="atom"),
    "vector per atom": Quantity("mtt::spin", "magnetic moments", key="spins", shape=(3,), per="atom"),
    "matrix per atom": Quantity("mtt::born", "Born charges", unit="e", key="born_charges", shape=(3, 3), per="atom"),
    "spectrum": Quantity(
        "mtt::pdos", "density of d states", unit="states/eV", option_unit="", key="d_weights", shape=None
    ),
    "spectrum per atom": Quantity(
        "mtt::ldos", "local DOS", unit="states/eV", option_unit="", key="ldos", shape=None, per="atom"
    ),
}


def test_keys_are_unique_and_not_those_of_ase():
    """ASE moves its own keys away from where metatrain looks for a target; it knows energies, forces and stresses."""
    keys = [quantity.key for quantity in in_data_sets()]
    assert len(set(keys)) == len(keys)
    of_ase = {quantity.key for quantity in in_data_sets() if quantity.gradient_of or gradients_of(quantity.name)}
    assert set(keys) & set(all_properties) == of_ase


@pytest.fixture
def add_row(monkeypatch):
    def add(row):
        monkeypatch.setitem(QUANTITIES, row.name, row)
        return row

    return add


def values_of(row, frame, seed):
    """Values as a calculation has them: of a spectrum a weight for each state."""
    states = (1, *frame.info["eigenvalues"].shape)
    return np.random.default_rng(seed).uniform(0, 1, row.array_shape(len(frame), states))


def attach(row, frame, values):
    """Put values where ASE writes them."""
    if row.per == "atom" and not row.is_spectrum:
        frame.arrays[row.key] = values.reshape(len(frame), -1).squeeze()
    else:
        frame.info[row.key] = values if values.ndim else float(values)


@pytest.mark.parametrize("form", ["xyz", "zip", "memmap"])
@pytest.mark.parametrize("kind", ROWS)
def test_one_row_is_enough(ten_frames, write_frames, tmp_path, monkeypatch, add_row, kind, form):
    row = add_row(ROWS[kind])
    known = {}
    for seed, frame in enumerate(ten_frames[:9]):  # the last one does not have it
        known[frame.info["id"]] = values_of(row, frame, seed)
        attach(row, frame, known[frame.info["id"]])
    source = write_frames(ten_frames)
    for calculation in list(read_extended_xyz(source))[:9]:
        np.testing.assert_allclose(calculation.values[row.name], known[calculation.name], atol=1e-8)

    prepared = prepare_dataset([source], tmp_path / "data", form=form)
    assert prepared.contents == ("energy", "forces", row.name)
    manifest = json.loads((prepared.folder / "manifest.json").read_text())
    assert manifest["units"][row.name] == row.unit
    tolerance = {"rtol": 1e-6, "atol": 2e-8}
    for name, rows in prepared.parts.items():
        for labelled, calculation in zip(PreparedPart(prepared.folder, name).structures(), rows, strict=True):
            found = labelled.values[row.name]
            assert found.shape == row.array_shape(len(labelled.atoms), (prepared.axis.grid.size,))
            if row.name not in calculation.known:
                assert calculation.identity.name == "frame-9" and np.isnan(found).all()
            elif row.is_spectrum:
                dos = labelled.values[DENSITY_OF_STATES]
                np.testing.assert_array_equal(np.isnan(found), np.broadcast_to(np.isnan(dos), found.shape))
                # Every state counts with a weight below one.
                assert (np.nan_to_num(found) <= np.nan_to_num(dos) + 1e-6).all() and np.nansum(found) > 0
            else:
                np.testing.assert_allclose(found, known[labelled.entry.name], **tolerance)

    # metatrain reads it when the "#" of the options file are gone.
    monkeypatch.chdir(prepared.folder)
    lines = (prepared.folder / "options.yaml").read_text().splitlines()
    assert any(f"Also in the files: {row.plural_label}; NaN where unknown." in line for line in lines)
    start = lines.index(f'    # "{row.name}":')
    end = next(i for i in range(start, len(lines)) if not lines[i].startswith("    # "))
    lines[start:end] = [line.replace("# ", "", 1) for line in lines[start:end]]
    options = OmegaConf.create("\n".join(lines))
    (expanded,) = expand_dataset_config(options["training_set"])
    dataset, info = get_dataset(expanded)[:2]
    assert info[row.name].unit == row.metatomic_unit and info[row.name].sample_kind == row.sample_kind
    part = PreparedPart(prepared.folder, "train")
    for sample, labelled in zip(dataset, part.structures(), strict=True):
        values = sample[row.name].block().values.numpy()
        np.testing.assert_allclose(
            values.reshape(labelled.values[row.name].shape), labelled.values[row.name], **tolerance
        )


def test_a_spectrum_is_the_sum_over_its_states(make_calculation, add_row):
    """All weights one: the density of states itself; one atom's share of every state: that share."""
    row = add_row(ROWS["spectrum per atom"])
    calculation = make_calculation()
    shares = np.random.default_rng(1).uniform(0, 1, calculation.eigenvalues.shape)
    calculation = dataclasses.replace(calculation, values={row.name: np.stack([shares, 1 - shares])})
    sample = make_sample(calculation, step=0.05, smearing=0.3)
    local = sample.values[row.name]
    np.testing.assert_allclose(local.sum(axis=0), sample.spectrum.values, atol=1e-12)
    energies = sample.spectrum.grid.energies().numpy()
    levels = calculation.eigenvalues - calculation.zero()
    heights = calculation.weights[:, None] * shares / (0.3 * np.sqrt(2 * np.pi))
    slow = [np.sum(heights * np.exp(-0.5 * ((energy - levels) / 0.3) ** 2)) for energy in energies]
    np.testing.assert_allclose(local[0], slow, atol=1e-12)


def test_energies_on_the_axis_of_the_spectrum_move_with_its_zero(make_calculation, add_row):
    row = add_row(Quantity("mtt::centre", "band centre", unit="eV", key="centre", on_axis_of=DENSITY_OF_STATES))
    for shift in (0.0, 4.2):
        eigenvalues = make_calculation().eigenvalues + shift
        calculation = make_calculation(eigenvalues=eigenvalues, fermi_level=shift, values={row.name: shift - 2.5})
        assert make_sample(calculation, step=0.05, smearing=0.3).values[row.name] == pytest.approx(-2.5)


def test_what_cannot_be_right_is_refused(make_calculation, make_frame, add_row):
    charges, spectrum = add_row(ROWS["number per atom"]), add_row(ROWS["spectrum"])
    with pytest.raises(ValueError, match=r"expected charges of shape \(2,\), got \(3,\)"):
        make_calculation(values={charges.name: np.zeros(3)})
    with pytest.raises(ValueError, match="expected finite charges in e, got NaN or infinity"):
        make_calculation(values={charges.name: np.full(2, np.nan)})
    with pytest.raises(ValueError, match=r"expected density of d states of shape \(1, 5, 10\), got \(2,\)"):
        make_calculation(values={spectrum.name: np.zeros(2)})
    frame = make_frame(Atoms("Si2", [[0, 0, 0], [2.2, 0, 0]]), bader_charges=np.zeros(3))
    with pytest.raises(
        ValueError, match=r"made up: expected numbers of shape \(2,\) for 'bader_charges', got shape \(3,\)"
    ):
        calculation_from_atoms(frame, "made up")
