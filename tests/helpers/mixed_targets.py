"""Data sets and models with every kind of target, of which each structure has only some."""

import random

import numpy as np
import torch
from ase.build import bulk
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import systems_to_torch
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import Dataset, DatasetInfo
from targets import FORCE, STRESS, cartesian, energy
from tiny_models import ELEMENTS, PROPERTIES, model_hypers, target_infos, target_rows, training_structures

from electrain.architectures.pet_mad.model import PETMAD
from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES, FERMI_LEVEL

NAMES = ("energy", "energy/pbe", FORCE, STRESS, DENSITY_OF_STATES, BAND_GAP, FERMI_LEVEL)
NAN = float("nan")


def infos():
    found = target_infos((DENSITY_OF_STATES, BAND_GAP, FERMI_LEVEL))
    found["energy"] = energy("energy")
    found["energy/pbe"] = energy("energy/pbe", gradients=False)
    found[FORCE] = cartesian(FORCE, 1, "eV/A", "atom")
    found[STRESS] = cartesian(STRESS, 2, "eV/A^3", "system")
    return {name: found[name] for name in NAMES}


def frames():
    """Molecules, crystals, and every element in structures with and without each target."""
    noise = np.random.default_rng(7)
    crystals = [bulk("Si"), bulk("C"), bulk("SiC", "zincblende", a=4.0), bulk("C", "fcc", a=3.0)]
    for atoms in crystals:
        atoms.positions += 0.1 * noise.normal(size=atoms.positions.shape)
    return [*training_structures(8), *crystals]


def sample(name, index, atoms, rows, missing):
    """One target of one structure; a missing one is NaN with all its gradients."""
    samples = Labels(["system"], torch.tensor([[index]], dtype=torch.int32))
    generator = torch.Generator().manual_seed(index)
    if name == FORCE:
        atom = torch.arange(len(atoms), dtype=torch.int32)
        values = torch.randn(len(atoms), 3, 1, generator=generator, dtype=torch.float64)
        pairs = torch.stack([torch.full_like(atom, index), atom], dim=1)
        block = TensorBlock(values, Labels(["system", "atom"], pairs), [Labels.range("xyz", 3)], Labels.range(FORCE, 1))
    elif name == STRESS:
        values = torch.randn(1, 3, 3, 1, generator=generator, dtype=torch.float64)
        components = [Labels.range("xyz_1", 3), Labels.range("xyz_2", 3)]
        block = TensorBlock(values + values.transpose(1, 2), samples, components, Labels.range(STRESS, 1))
    elif name.startswith("energy"):
        offset = 3.0 if name == "energy" else -2.0
        value = rows["energy"][index : index + 1] * offset
        block = TensorBlock(value.clone(), samples, [], Labels.range("energy", 1))
        if name == "energy":
            for parameter, gradient in gradients(atoms, generator).items():
                block.add_gradient(parameter, gradient)
    else:
        block = TensorBlock(rows[name][index : index + 1].clone(), samples, [], PROPERTIES[name])
    if missing:
        block.values[:] = NAN
        for _, gradient in block.gradients():
            gradient.values[:] = NAN
    return TensorMap(Labels.single(), [block])


def gradients(atoms, generator):
    atom = torch.arange(len(atoms), dtype=torch.int32)
    energies = Labels.range("energy", 1)
    positions = TensorBlock(
        0.1 * torch.randn(len(atoms), 3, 1, generator=generator, dtype=torch.float64),
        Labels(["sample", "atom"], torch.stack([torch.zeros_like(atom), atom], dim=1)),
        [Labels.range("xyz", 3)],
        energies,
    )
    strain = TensorBlock(
        torch.randn(1, 3, 3, 1, generator=generator, dtype=torch.float64) * (1.0 if atoms.pbc.all() else NAN),
        Labels(["sample"], torch.zeros(1, 1, dtype=torch.int32)),
        [Labels.range("xyz_1", 3), Labels.range("xyz_2", 3)],
        energies,
    )
    return {"positions": positions, "strain": strain}


def mixed_dataset(missing, structures):
    """``missing[name]``: indices of the structures without that target; molecules never have a stress."""
    rows = target_rows(structures)
    data = {"system": systems_to_torch(structures, dtype=torch.float64)}
    for name in NAMES:
        data[name] = [
            sample(name, i, atoms, rows, i in missing[name] or (name == STRESS and not atoms.pbc.all()))
            for i, atoms in enumerate(structures)
        ]
    return Dataset.from_dict(data)


def some_missing(structures):
    """Half of the structures lack each target; "energy" and "energy/pbe" are never there together."""
    draw = random.Random(3)
    missing = {name: set(draw.sample(range(len(structures)), len(structures) // 2)) for name in NAMES}
    missing["energy/pbe"] = set(range(len(structures))) - missing["energy"]
    return missing


def make_everything(dtype=torch.float64, **options):
    torch.manual_seed(0)
    return PETMAD(model_hypers(**options), DatasetInfo("angstrom", ELEMENTS, infos())).to(dtype)


def hypers(**options):
    training = {
        **get_default_hypers("pet_mad")["training"],
        "batch_size": 4,
        "num_workers": 0,
        "learning_rate": 3e-3,
        "warmup_epochs": 0.0,
        "loss": loss_options(),
    }
    return {**training, **options}


def loss_options(kind="mse", **extra):
    """As metatrain fills it in."""
    terms = {name: {"type": kind, "weight": 1.0, "reduction": "mean", "gradients": {}, **extra} for name in NAMES}
    del terms[DENSITY_OF_STATES]
    terms["energy"]["weight"] = 0.1
    for name in ("positions", "strain"):
        terms["energy"]["gradients"][name] = {"type": kind, "weight": 1.0, "reduction": "mean", **extra}
    return terms
