"""An odd number of electrons half fills a band: without spins, such structures have no gap."""

import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule
from metatensor.torch import Labels
from metatomic.torch import ModelEvaluationOptions
from small_models import make_uncertain_model
from tiny_models import ALL_TARGETS, GRID_HYPERS, dataset_info, make_model, request, to_systems

from electrain.architectures.base.unpaired_electrons import UnpairedElectrons
from electrain.interface.quantities import BAND_GAP

AXIS = {**GRID_HYPERS, "valence_electrons": {"H": 1.0, "C": 4.0, "N": 5.0, "O": 6.0}}
WITHOUT_SPINS = {**AXIS, "spin_polarized": False}
# H2O and CO have an even number, NO, CH3 and a cell with one hydrogen atom an odd one; silicon's is unknown
STRUCTURES = [
    molecule("H2O"),
    molecule("NO"),
    molecule("CO"),
    molecule("CH3"),
    Atoms("H", cell=[2, 2, 2], pbc=True),
    bulk("Si"),
]
IS_ODD = [False, True, False, True, True, False]


def with_gaps(**options):
    """A model whose gaps are not cut off at zero."""
    model = make_model(**options)
    with torch.no_grad():
        model.head(BAND_GAP).last.bias.add_(10.0)
    return model


def gaps(model, structures, selected=None):
    systems = to_systems(structures, model)
    return model(systems, request([BAND_GAP]), selected)[BAND_GAP].block().values[:, 0]


@pytest.mark.parametrize("source", ["density_of_states", "atoms"])
def test_only_even_numbers_have_a_gap(source):
    model = with_gaps(energy_grid=WITHOUT_SPINS, band_gap_from=source).eval()
    without = gaps(with_gaps(energy_grid=AXIS, band_gap_from=source).eval(), STRUCTURES)
    expected = torch.where(torch.tensor(IS_ODD), 0.0, without)
    assert without.min() > 1
    torch.testing.assert_close(gaps(model, STRUCTURES), expected)
    options = ModelEvaluationOptions("angstrom", request([BAND_GAP]))
    exported = model.export()
    found = (
        torch.jit.script(exported)(to_systems(STRUCTURES, exported), options, check_consistency=True)[BAND_GAP]
        .block()
        .values[:, 0]
    )
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("axis", [AXIS, {**AXIS, "spin_polarized": True}])
def test_with_spins_or_without_knowing_nothing_changes(axis):
    assert gaps(with_gaps(energy_grid=axis).eval(), STRUCTURES).min() > 1


def test_parts_of_a_structure_have_no_number_of_electrons():
    model = with_gaps(energy_grid=WITHOUT_SPINS).eval()
    selected = Labels(["system", "atom"], torch.tensor([[0, 0], [0, 1]]))
    assert gaps(model, [molecule("NO")], selected).item() > 1


def test_models_that_read_charges_are_left_alone():
    model = with_gaps(energy_grid=WITHOUT_SPINS, system_conditioning=True)
    assert model.unpaired_electrons is None


def test_in_training_too():
    model = make_model(energy_grid=WITHOUT_SPINS, band_gap_from="atoms").train()
    found = gaps(model, STRUCTURES)
    assert (found == 0).tolist() == IS_ODD
    found.abs().sum().backward()
    assert model.head(BAND_GAP).last.weight.grad.abs().sum() > 0


def test_checkpoints_know_it_and_other_data_decides_anew():
    model = make_model(energy_grid=WITHOUT_SPINS)
    again = type(model).load_checkpoint(model.get_checkpoint(), "restart")
    assert again.unpaired_electrons is not None
    assert set(again.state_dict()) == set(make_model().state_dict())
    info = dataset_info(ALL_TARGETS)
    assert again.restart(info, {"energy_grid": AXIS}).unpaired_electrons is not None  # they do not say
    again.restart(info, {"energy_grid": {**AXIS, "spin_polarized": True}})
    assert again.unpaired_electrons is None and again.hypers["energy_grid"]["spin_polarized"] is True
    again.restart(info, {"energy_grid": WITHOUT_SPINS})
    assert again.unpaired_electrons is not None


def test_ensembles_know_it():
    """All members that are read from a density of states, and so their spread."""
    model = make_uncertain_model()
    names = ["mtt::aux::bandgap_ensemble", "mtt::aux::bandgap_uncertainty"]
    systems = to_systems([molecule("H2O"), molecule("CH3")], model.model)
    before = model(systems, request(names))[names[0]].block().values
    assert (before > 0).all()
    model.model.unpaired_electrons = UnpairedElectrons(torch.tensor([1.0, 4.0, 6.0, 3.0, 4.0], dtype=torch.float64))
    found = torch.jit.script(model)(systems, request(names))
    torch.testing.assert_close(found[names[0]].block().values, before * torch.tensor([[1.0], [0.0]]))
    assert (found[names[1]].block().values > 0).flatten().tolist() == [True, False]
