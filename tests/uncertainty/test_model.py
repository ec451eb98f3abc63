"""metatrain's `llpr` on top of a PET-MAD: uncertainties and ensembles of energies, spectra, gaps and Fermi levels."""

import copy
from pathlib import Path

import pytest
import torch
from metatensor.torch import Labels
from metatomic.torch import ModelEvaluationOptions, ModelOutput, load_atomistic_model
from metatomic_ase import MetatomicCalculator
from metatrain.cli.train import train_model
from metatrain.llpr import LLPRUncertaintyModel
from metatrain.llpr import Trainer as LLPRTrainer
from metatrain.pet import PET
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import DatasetInfo
from metatrain.utils.io import load_model, model_from_checkpoint
from omegaconf import OmegaConf
from tiny_models import (
    ALL_TARGETS,
    ELEMENTS,
    GRID,
    MAX_SHIFT,
    dataset_info,
    make_dataset,
    make_model,
    make_varied,
    request,
    target_infos,
    target_rows,
    to_systems,
    training_structures,
    write_zip,
)

from electrain.architectures.pet_mad.trainer import Trainer
from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES, FERMI_LEVEL, ensemble_name, uncertainty_name
from electrain.nn.spectrum_convolution import SpectrumConvolution
from electrain.spectra.alignment import best_shift
from electrain.uncertainty.model import SpectralUncertainty

DOS = DENSITY_OF_STATES
FRAMES = training_structures(8)
MISSING = {"energy": 1, DOS: 2, BAND_GAP: 3, FERMI_LEVEL: 4}  # which structure lacks the target
REGULARIZER = 1e-3
CPU = torch.device("cpu")
CLOSE = {"rtol": 1e-9, "atol": 1e-10}
MEMBERS = {"energy": 3000, DOS: 400}
LINEAR = ("energy", DOS)


def data_with_gaps():
    """Values of all targets, each missing in one structure."""
    rows = target_rows(FRAMES)
    for name, index in MISSING.items():
        rows[name][index] = torch.nan
    return rows


ROWS = data_with_gaps()
DATASET = make_dataset(ALL_TARGETS, FRAMES, rows=ROWS)


def make_base(targets=ALL_TARGETS, **options):
    """Predicts spectra that are smooth and near the targets, shifted by eight channels."""
    model = make_varied(make_model(targets, **options))
    if DOS in targets:
        head = model.network.heads[DOS]
        last = head.last
        sizes = torch.tensor([[len(atoms)] for atoms in FRAMES])
        channels = torch.arange(GRID.size)
        with torch.no_grad():
            head.last_edge_bias.zero_()
            last.bias.copy_(torch.roll((target_rows(FRAMES)[DOS] / sizes).nan_to_num().mean(dim=0), -8))
            for column in last.weight.T:
                center = 100 + 600 * torch.rand(1)
                column.copy_(0.02 * torch.randn(1) * torch.exp(-0.5 * ((channels - center) / 40) ** 2))
    return model.eval()


def make_llpr(members, base, targets=ALL_TARGETS):
    model = LLPRUncertaintyModel({"num_ensemble_members": members}, dataset_info(targets))
    model.set_wrapped_model(base)
    return model.to(torch.float64)


def calibrated(model, dataset=DATASET, regularizer=REGULARIZER, method="squared_residuals"):
    """As metatrain's trainer does it."""
    torch.manual_seed(0)
    model.compute_covariance([dataset], 2, False)
    model.compute_cholesky_decomposition(regularizer)
    model.calibrate([dataset], 2, False, method)
    model.generate_ensemble()
    return model.eval()


@pytest.fixture(scope="module")
def base():
    return make_base()


@pytest.fixture(scope="module")
def model(base):
    return calibrated(make_llpr(MEMBERS, base, LINEAR), make_dataset(LINEAR, FRAMES, rows=ROWS))


@pytest.fixture(scope="module")
def systems(base):
    return to_systems(FRAMES, base)


@pytest.fixture(scope="module")
def small(base):
    """Few members: the heads' convolutions take time for each."""
    return calibrated(make_llpr({"energy": 4, DOS: 5}, base), regularizer=None)


def test_calibration_as_one_of_several_processes(base, tmp_path):
    """Through the communication between processes, of which there is one here, the same comes out."""
    alone, together = (make_llpr({"energy": 4, DOS: 5}, base) for _ in range(2))
    calibrated(alone)
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1)
    try:
        torch.manual_seed(0)
        together.compute_covariance([DATASET], 2, True)
        together.compute_cholesky_decomposition(REGULARIZER)
        together.calibrate([DATASET], 2, True, "squared_residuals")
    finally:
        torch.distributed.destroy_process_group()
    for (name, expected), found in zip(alone.state_dict().items(), together.state_dict().values(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12, msg=name)


def test_covariances_in_single_precision():
    """Fewer structures than features: rounded eigenvalues below zero do no harm to a small regulariser."""
    model = make_llpr({}, make_base(LINEAR, dtype=torch.float32, head_width=64), LINEAR).to(torch.float32)
    model.compute_covariance([make_dataset(LINEAR, FRAMES)], 2, False)
    covariance = model.get_buffer("covariance_mtt::aux::dos_uncertainty").double()
    regularizer = 1e-6 * float(covariance.diagonal().mean())
    assert float(torch.linalg.eigvalsh(covariance)[0]) < -regularizer
    model.compute_cholesky_decomposition(regularizer)
    factor = model.get_buffer("cholesky_mtt::aux::dos_uncertainty").double()
    torch.testing.assert_close(factor @ factor.T, covariance, rtol=1e-4, atol=10 * regularizer)


def values(model, systems, names, sample_kind="system", selection=None):
    with torch.no_grad():
        results = model(systems, request(names, sample_kind), selection)
    return {name: result.block().values for name, result in results.items()}


def features_of(base, systems, name):
    output = f"mtt::aux::{name.replace('mtt::', '')}_last_layer_features"
    return values(base, systems, [output])[output]


def reference_deviations(base, systems, name):
    """(f^T C^-1 f)^(1/2), one structure after the other, with an explicit inverse."""
    features = features_of(base, systems, name)
    covariance = REGULARIZER * torch.eye(features.shape[1], dtype=torch.float64)
    for index, (row, atoms) in enumerate(zip(features, FRAMES, strict=True)):
        if index != MISSING[name]:
            covariance += torch.outer(row, row) / len(atoms) ** 2
    inverse = torch.linalg.inv(covariance)
    return torch.stack([(row @ inverse @ row).sqrt() for row in features])


def test_energy_uncertainty_is_the_formula(base, model, systems):
    deviations = reference_deviations(base, systems, "energy")
    energies = values(base, systems, ["energy"])["energy"]
    known = [index for index in range(len(FRAMES)) if index != MISSING["energy"]]
    ratios = [float((energies[i, 0] - ROWS["energy"][i, 0]) / deviations[i]) for i in known]
    multiplier = (sum(ratio**2 for ratio in ratios) / len(ratios)) ** 0.5
    found = values(model, systems, ["energy_uncertainty"])["energy_uncertainty"]
    torch.testing.assert_close(found, multiplier * deviations.unsqueeze(1), rtol=1e-6, atol=0)


def test_spectral_uncertainty_is_the_formula(base, model, systems):
    """Channel by channel, with the squares of all structures whose aligned target is known there."""
    deviations = reference_deviations(base, systems, DOS)
    spectra = values(base, systems, [DOS])[DOS]
    sums, counts = torch.zeros(GRID.size, dtype=torch.float64), torch.zeros(GRID.size)
    for index in range(len(FRAMES)):
        if index == MISSING[DOS]:
            continue
        target = ROWS[DOS][index, MAX_SHIFT:]
        trusted = ~target.isnan()
        shift = int(best_shift(spectra[index : index + 1], target.unsqueeze(0), trusted.unsqueeze(0)))
        for channel in range(shift + int(trusted.sum())):
            expected = float(target[channel - shift]) if channel >= shift else 0.0
            sums[channel] += (spectra[index, channel] - expected) ** 2 / deviations[index] ** 2
            counts[channel] += 1
    multipliers = (sums / counts).sqrt()
    last = int(counts.nonzero().max())
    assert last < GRID.size - 1
    multipliers[last + 1 :] = multipliers[last]  # nothing is known there
    found = values(model, systems, ["mtt::aux::dos_uncertainty"])["mtt::aux::dos_uncertainty"]
    torch.testing.assert_close(found, deviations.unsqueeze(1) * multipliers, rtol=1e-6, atol=0)


@pytest.mark.parametrize("method", ["squared_residuals", "absolute_residuals", "crps"])
def test_missing_values_are_as_if_they_were_not_there(base, method):
    """Uncertainties of energies and spectra from data without the structures that lack them."""
    members = {}
    with_gaps = calibrated(make_llpr(members, base), method=method)
    for name in ("energy", DOS):
        keep = [index for index in range(len(FRAMES)) if index != MISSING[name]]
        rows = {target: entries[keep] for target, entries in ROWS.items()}
        dataset = make_dataset((name,), [FRAMES[index] for index in keep], rows=rows)
        alone = calibrated(make_llpr(members, base, (name,)), dataset, method=method)
        for kind in ("covariance_", "multiplier_"):
            buffer = kind + uncertainty_name(name)
            first, second = with_gaps.get_buffer(buffer), alone.get_buffer(buffer)
            assert first.isfinite().all() and first.any()
            torch.testing.assert_close(first, second, **CLOSE)


def test_rigid_shifts_of_targets_change_nothing(base):
    """Not the multipliers of the spectrum nor, with its target moved along, the one of the Fermi level."""
    shifted = {name: rows.clone() for name, rows in ROWS.items()}
    shifted[DOS] = torch.roll(ROWS[DOS], 3, dims=1)
    shifted[DOS][:, :MAX_SHIFT] = torch.where(ROWS[DOS].isnan().all(dim=1, keepdim=True), torch.nan, 0.0)
    shifted[FERMI_LEVEL] = ROWS[FERMI_LEVEL] + 3 * GRID.step
    multipliers = []
    for rows in (ROWS, shifted):
        model = calibrated(make_llpr({DOS: 5}, base), make_dataset(ALL_TARGETS, FRAMES, rows=rows))
        multipliers.append([model.get_buffer(f"multiplier_{uncertainty_name(n)}") for n in (DOS, FERMI_LEVEL)])
    for first, second in zip(*multipliers, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-6, atol=1e-9)


def test_members_spread_as_the_uncertainty_says(model, systems):
    names = ["energy", "energy_uncertainty", "energy_ensemble"]
    found = values(model, systems, names)
    torch.testing.assert_close(found["energy_ensemble"].mean(dim=1, keepdim=True), found["energy"], **CLOSE)
    spread = found["energy_ensemble"].std(dim=1, keepdim=True)
    torch.testing.assert_close(spread, found["energy_uncertainty"], rtol=0.05, atol=0)
    found = values(model, systems, [DOS, uncertainty_name(DOS), ensemble_name(DOS)])
    members = found[ensemble_name(DOS)].reshape(len(FRAMES), -1, GRID.size)
    assert members.shape[1] == MEMBERS[DOS]
    torch.testing.assert_close(members.mean(dim=1), found[DOS], **CLOSE)
    ratio = members.std(dim=1) / found[uncertainty_name(DOS)]
    torch.testing.assert_close(ratio, torch.ones_like(ratio), rtol=0.2, atol=0)
    assert abs(float(ratio.mean()) - 1.0) < 0.02


def test_members_are_correlated_along_the_energy(model, systems):
    """Neighboring channels move together, as the errors of the structures do; independent ones would average out."""
    members = values(model, systems[:1], [ensemble_name(DOS)])[ensemble_name(DOS)].reshape(-1, GRID.size)
    correlation = torch.corrcoef(members[:, 100:600].T)
    assert float(correlation.diagonal(1).mean()) > 0.98
    states = (members[:, 100:300].sum(dim=1) * GRID.step).std()
    if_independent = members[:, 100:300].std(dim=0).norm() * GRID.step
    assert float(states / if_independent) > 3.0


def test_gap_and_fermi_level_are_those_of_the_members(base, small, systems):
    """Through the model's heads, one member after the other."""
    model = small
    spectra = values(model, systems, [DOS, ensemble_name(DOS)])
    members = spectra[ensemble_name(DOS)].reshape(len(FRAMES), -1, GRID.size)
    for name in (BAND_GAP, FERMI_LEVEL):
        found = values(model, systems, [name, uncertainty_name(name), ensemble_name(name)])
        multiplier = float(model.get_buffer(f"multiplier_{uncertainty_name(name)}"))
        head: SpectrumConvolution = base.spectrum_heads[name]
        for index, atoms in enumerate(FRAMES):
            with torch.no_grad():
                best = head(spectra[DOS][index : index + 1] / len(atoms))
                read = torch.cat([head(member.unsqueeze(0) / len(atoms)) for member in members[index]])
            expected = best + multiplier * (read - read.mean())
            if name == BAND_GAP:
                expected, best = expected.clamp_min(0.0), best.clamp_min(0.0)
            torch.testing.assert_close(found[ensemble_name(name)][index], expected.squeeze(1), **CLOSE)
            torch.testing.assert_close(found[name][index], best[0], **CLOSE)
            spread = multiplier * read.std()
            torch.testing.assert_close(found[uncertainty_name(name)][index, 0], spread, **CLOSE)


def test_gap_and_fermi_level_are_calibrated(small, systems):
    """The mean square of errors in units of the uncertainty is one where they were calibrated."""
    found = values(small, systems, [DOS, BAND_GAP, FERMI_LEVEL, *map(uncertainty_name, (BAND_GAP, FERMI_LEVEL))])
    window = ROWS[DOS][:, MAX_SHIFT:]
    shift = (best_shift(found[DOS], window, ~window.isnan()) - MAX_SHIFT) * GRID.step
    shift[MISSING[DOS]] = torch.nan
    levels = ROWS[FERMI_LEVEL][:, 0] + shift
    for name, target in ((BAND_GAP, ROWS[BAND_GAP][:, 0]), (FERMI_LEVEL, levels)):
        ratios = (found[name][:, 0] - target) / found[uncertainty_name(name)][:, 0]
        ratios = ratios[ratios.isfinite()]
        assert len(ratios) == len(FRAMES) - (1 if name == BAND_GAP else 2)
        assert float(ratios.square().mean()) == pytest.approx(1.0, rel=1e-6)


def test_atoms_sum_to_the_structure(small, systems):
    names = ["energy_ensemble", ensemble_name(DOS)]
    per_atom, whole = values(small, systems, names, "atom"), values(small, systems, names)
    index = torch.repeat_interleave(torch.arange(len(FRAMES)), torch.tensor([len(atoms) for atoms in FRAMES]))
    for name in names:
        summed = torch.zeros_like(whole[name]).index_add(0, index, per_atom[name])
        torch.testing.assert_close(summed, whole[name], **CLOSE)


KINDS = [
    {"mtt::dos": "atom", ensemble_name(DOS): "system", ensemble_name(BAND_GAP): "system"},
    {ensemble_name(DOS): "atom", uncertainty_name(DOS): "system", BAND_GAP: "system"},
    {"energy": "system", "energy_uncertainty": "atom", "energy_ensemble": "system"},
    {"energy": "atom", uncertainty_name(FERMI_LEVEL): "system", "mtt::aux::dos_last_layer_features": "atom"},
]


@pytest.mark.parametrize("kinds", KINDS)
def test_outputs_per_atom_and_per_structure_at_once(small, systems, kinds):
    with torch.no_grad():
        together = small(systems, {name: ModelOutput(sample_kind=kind) for name, kind in kinds.items()})
        assert sorted(together) == sorted(kinds)
        for name, kind in kinds.items():
            alone = small(systems, {name: ModelOutput(sample_kind=kind)})[name].block()
            found = together[name].block()
            assert found.samples == alone.samples and found.properties == alone.properties
            torch.testing.assert_close(found.values, alone.values, **CLOSE)


@pytest.fixture(scope="module")
def checkpoint(base, tmp_path_factory):
    """A folder with what `mtt train` writes, and the model that it had in memory."""
    folder = tmp_path_factory.mktemp("llpr")
    trainer_hypers = copy.deepcopy(get_default_hypers("pet_mad")["training"])
    Trainer(trainer_hypers).save_checkpoint(base, folder / "base.ckpt")
    hypers = {
        **get_default_hypers("llpr")["training"],
        "model_checkpoint": str(folder / "base.ckpt"),
        "batch_size": 2,
        "distributed": False,
    }
    trainer = LLPRTrainer(hypers)
    model = LLPRUncertaintyModel({"num_ensemble_members": {"energy": 4, DOS: 3}}, dataset_info())
    torch.manual_seed(0)
    trainer.train(model, torch.float64, [CPU], [DATASET], [DATASET], str(folder))
    trainer.save_checkpoint(model, folder / "llpr.ckpt")
    return folder, model.eval()


def test_checkpoint_and_exported_model(checkpoint, systems):
    """Loaded and scripted models say the same as the one in memory; metatomic checks names, samples and units."""
    folder, model = checkpoint
    systems = systems[:2]
    assert type(model) is SpectralUncertainty
    content = torch.load(folder / "llpr.ckpt", weights_only=False)
    loaded = model_from_checkpoint(content, "export").to(torch.float64).eval()
    assert type(loaded) is SpectralUncertainty
    loaded.export().save(str(folder / "llpr.pt"))
    exported = load_atomistic_model(str(folder / "llpr.pt"))
    names = [name for name in exported.capabilities().outputs if "feature" not in name]
    for name in ALL_TARGETS:
        assert {uncertainty_name(name), ensemble_name(name)} <= set(names)
    expected = values(model, systems, names)
    for name, found in values(loaded, systems, names).items():
        torch.testing.assert_close(found, expected[name], **CLOSE)
    for requested in (names, names, [ensemble_name(BAND_GAP)]):
        results = exported(systems, ModelEvaluationOptions("angstrom", request(requested)), check_consistency=True)
        assert sorted(results) == sorted(requested)
        for name, result in results.items():
            torch.testing.assert_close(result.block().values, expected[name], **CLOSE)
    assert "energy_grid" in exported.metadata().extra


def test_every_advertised_output_can_be_had_alone(small, systems):
    exported = small.export()
    for name, output in exported.capabilities().outputs.items():
        if name == "features":  # metatomic adds this old name, and warns of it
            continue
        kinds = ["system", "atom"] if output.sample_kind == "atom" else ["system"]
        for kind in kinds:
            options = ModelEvaluationOptions("angstrom", request([name], kind))
            assert exported(systems[:2], options, check_consistency=True)[name].block().values.isfinite().all()


def test_unknown_outputs(small, systems):
    with pytest.raises(ValueError, match=r"the model has no output 'mtt::aux::dso_uncertainty'; it has .*, energy_unc"):
        small(systems, request(["energy", "mtt::aux::dso_uncertainty"]))


def test_selected_atoms(small, systems):
    """A structure of which no atom was selected has no gap; the others are what they are in another batch."""
    labels = Labels(["system", "atom"], torch.tensor([[0, 0], [0, 2], [2, 0], [2, 1]], dtype=torch.int32))
    names = [ensemble_name(BAND_GAP), uncertainty_name(BAND_GAP), uncertainty_name(FERMI_LEVEL)]
    found = values(small, systems[:3], names, selection=labels)
    first = Labels(["system", "atom"], torch.tensor([[0, 0], [0, 2]], dtype=torch.int32))
    alone = values(small, systems[:1], names, selection=first)
    for name in names:
        assert found[name].isfinite().all(dim=1).tolist() == [True, False, True]
        torch.testing.assert_close(found[name][:1], alone[name], **CLOSE)


def test_gradients_of_the_energy_ensemble(small, systems):
    """The mean over the members is the gradient of the energy, for positions and, as the virial, for strain."""
    output = ModelOutput(sample_kind="system", explicit_gradients=["positions", "strain"])
    assert set(small.capabilities.outputs["energy_ensemble"].explicit_gradients) == {"positions", "strain"}
    block = small(systems[:2], {"energy_ensemble": output})["energy_ensemble"].block()
    gradients = block.gradient("positions").values.mean(dim=2)
    first = len(FRAMES[0])
    for system, found in zip(systems[:2], (gradients[:first], gradients[first:]), strict=True):
        with_gradients = small._systems_with_grad([system])
        energy = small(with_gradients, request(["energy"]))["energy"].block().values.sum()
        (expected,) = torch.autograd.grad(energy, with_gradients[0].positions)
        assert expected.abs().max() > 1e-3
        torch.testing.assert_close(found, expected, **CLOSE)
    strain = block.gradient("strain").values.mean(dim=3)
    virial = systems[0].positions.T @ gradients[:first]
    torch.testing.assert_close(strain[0], virial, **CLOSE)


@pytest.mark.filterwarnings("ignore:Some of the atomic energy uncertainties are larger:UserWarning")
def test_in_ase(small):
    calculator = MetatomicCalculator(small.export(), device="cpu")
    names = ["energy", "energy_uncertainty", "energy_ensemble"]
    results = calculator.run_model(FRAMES[:2], request(names))
    assert results["energy_ensemble"].block().properties.names == ["energy"]
    shapes = [tuple(results[name].block().values.shape) for name in names]
    assert shapes == [(2, 1), (2, 1), (2, 4)]
    atoms = FRAMES[0].copy()
    atoms.cell = [10.0, 10.0, 10.0]  # for the stress, which the calculator always divides by the volume
    atoms.calc = calculator
    assert atoms.get_potential_energy() == pytest.approx(float(results["energy"].block().values[0]), rel=1e-9)


def test_without_an_ensemble_of_spectra_nothing_is_read_from_it(base):
    model = make_llpr({"energy": 2}, base)
    outputs = model.supported_outputs()
    assert {"energy_uncertainty", uncertainty_name(DOS), "energy_ensemble"} <= set(outputs)
    for name in (BAND_GAP, FERMI_LEVEL):
        assert name in outputs
        assert not {uncertainty_name(name), ensemble_name(name)} & set(outputs)


def test_a_gap_from_atoms_has_no_uncertainty():
    """It is a mean over atoms, not read from members of the density of states."""
    from_atoms = make_base(band_gap_from="atoms")
    outputs = make_llpr({DOS: 2}, from_atoms).supported_outputs()
    assert BAND_GAP in outputs and uncertainty_name(FERMI_LEVEL) in outputs
    assert not {uncertainty_name(BAND_GAP), ensemble_name(BAND_GAP)} & set(outputs)
    with pytest.raises(ValueError, match="no ensemble of 'mtt::bandgap': it is not a sum over atoms that have"):
        make_llpr({BAND_GAP: 2}, from_atoms)


def test_targets_that_were_not_calibrated_have_no_uncertainty(base):
    outputs = make_llpr({}, base, ("energy",)).supported_outputs()
    assert "energy_uncertainty" in outputs and DOS in outputs
    assert uncertainty_name(DOS) not in outputs


def test_other_architectures_are_left_alone():
    hypers = copy.deepcopy(get_default_hypers("pet")["model"])
    small = ("d_pet", "d_head", "d_node", "d_feedforward", "num_heads", "num_attention_layers", "num_gnn_layers")
    hypers.update(dict.fromkeys(small, 1))
    info = DatasetInfo("angstrom", ELEMENTS, target_infos(("energy",)))
    model = LLPRUncertaintyModel({"num_ensemble_members": {"energy": 3}}, info)
    model.set_wrapped_model(PET(hypers, info))
    assert type(model) is LLPRUncertaintyModel
    assert model.get_buffer("multiplier_energy_uncertainty").shape == (1,)
    assert isinstance(model.llpr_ensemble_layers["energy"], torch.nn.Linear)


@pytest.mark.parametrize(
    ("members", "targets", "message"),
    [
        ({BAND_GAP: 8}, ALL_TARGETS, "'mtt::bandgap', which is read from the density of states; request members of"),
        ({"energy/other": 8}, ALL_TARGETS, "has 'energy/other', but the dataset's targets are"),
        ({DOS: 8}, ("energy",), r"has 'mtt::dos', but the dataset's targets are \['energy'\]; without its values"),
        ({DOS: 1}, ALL_TARGETS, "expected at least 2 ensemble members of 'mtt::dos', got 1"),
    ],
)
def test_ensembles_that_cannot_be_made(base, members, targets, message):
    with pytest.raises(ValueError, match=message):
        make_llpr(members, base, targets)


def test_data_that_do_not_fit_the_model(base):
    with pytest.raises(ValueError, match=r"the dataset has the target 'mtt::dos', the model predicts \['energy'\]"):
        make_llpr({}, make_base(("energy",)))
    with_gold = DatasetInfo("angstrom", [1, 79], target_infos(("energy",)))
    model = LLPRUncertaintyModel({"num_ensemble_members": {}}, with_gold)
    with pytest.raises(ValueError, match=r"the dataset has atomic numbers \[79\], the model knows \[1, 6, 7, 8, 14\]"):
        model.set_wrapped_model(base)
    infos = target_infos(("energy",))
    infos["energy"].unit = "kcal/mol"
    model = LLPRUncertaintyModel({"num_ensemble_members": {}}, DatasetInfo("angstrom", ELEMENTS, infos))
    with pytest.raises(ValueError, match="'energy' has the unit 'kcal/mol' in the dataset, 'eV' in the model"):
        model.set_wrapped_model(base)


@pytest.mark.parametrize("name", ALL_TARGETS)
def test_targets_without_a_single_value(base, name):
    rows = {**ROWS, name: torch.full_like(ROWS[name], torch.nan)}
    empty = make_dataset(ALL_TARGETS, FRAMES, rows=rows)
    model = make_llpr({DOS: 2}, base)
    if name in ("energy", DOS):
        with pytest.raises(ValueError, match=rf"target '{name}' has no value \(NaN\) in any training structure"):
            model.compute_covariance([empty], 2, False)
    model.compute_covariance([DATASET], 2, False)
    model.compute_cholesky_decomposition(None)
    with pytest.raises(ValueError, match=rf"target '{name}' has no value \(NaN\) in any validation structure"):
        model.calibrate([empty], 2, False, "squared_residuals")


def test_outputs_of_structures_are_not_given_per_atom(small, systems):
    with pytest.raises(ValueError, match="mtt::aux::bandgap_uncertainty is a property of a whole structure"):
        values(small, systems, [uncertainty_name(BAND_GAP)], "atom")


def test_the_ensemble_of_spectra_is_not_trained(base, systems):
    model = make_llpr({DOS: 2}, base).train()
    with pytest.raises(ValueError, match="of mtt::dos cannot be trained, because its errors need an alignment"):
        model(systems, request([DOS, ensemble_name(DOS)]))


def test_command_line(checkpoint, tmp_path, monkeypatch):
    """`mtt train` with the data on disk."""
    folder, _ = checkpoint
    monkeypatch.chdir(tmp_path)
    write_zip(Path("data.zip"), ("energy", DOS), FRAMES)
    scalar = {"type": "scalar", "sample_kind": "system", "quantity": "", "unit": ""}
    part = {
        "systems": {"read_from": "data.zip", "length_unit": "angstrom"},
        "targets": {
            "energy": {"quantity": "energy", "unit": "eV"},
            DOS: {**scalar, "num_subtargets": GRID.size},
        },
    }
    options = {
        "seed": 1,
        "base_precision": 64,
        "architecture": {
            "name": "llpr",
            "model": {"num_ensemble_members": {"energy": 5, DOS: 4}},
            "training": {"model_checkpoint": str(folder / "base.ckpt"), "batch_size": 4},
        },
        "training_set": part,
        "validation_set": part,
        "test_set": part,
        "final_eval": False,
    }
    train_model(OmegaConf.create(options), "model.pt", "extensions", ".")
    outputs = load_atomistic_model("model.pt").capabilities().outputs
    assert {"energy_uncertainty", "energy_ensemble", uncertainty_name(DOS), ensemble_name(DOS)} <= set(outputs)
    assert type(load_model("model.ckpt")) is SpectralUncertainty
