"""How well the heat capacity and entropy of predicted phonon spectra agree with those of the true ones.

    python benchmarks/phonon_thermodynamics.py model.pt data/test.zip

The model is one of phonon densities of states, the data what `electrain prepare --spectra phonon` wrote. Both spectra
are scaled to three modes per atom, so that errors are those of the shape alone. Prints a table in Markdown.
"""

import argparse

import numpy as np
from ase import Atoms
from metatrain.utils.data.dataset import DiskDataset

from electrain.calculators import SpectrumModel
from electrain.results import Spectrum
from electrain.thermodynamics.phonons import JOULE_PER_MOLE, PhononIntegrals, PhononThermodynamics

KELVIN = [100.0, 300.0, 1000.0]


def quantities(result: PhononThermodynamics) -> np.ndarray:
    """Zero-point energy in meV/atom, then heat capacities and entropies in J/(mol K) per mole of atoms."""
    found = np.concatenate([result.quantities.heat_capacity, result.quantities.entropy]) * JOULE_PER_MOLE
    return np.concatenate([[1e3 * result.zero_point_energy], found]) / result.num_atoms


def main() -> None:
    """Compare, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data")
    arguments = parser.parse_args()
    model, dataset = SpectrumModel(arguments.model), DiskDataset(arguments.data)
    integrals = PhononIntegrals(model.axis, KELVIN)
    true = []
    for sample in dataset:
        system, values = sample.system, sample._asdict()[model.target].block().values[0].double().numpy()
        atoms = Atoms(system.types.numpy(), system.positions.numpy(), cell=system.cell.numpy(), pbc=system.pbc.numpy())
        true.append(Spectrum(atoms, model.axis, model.target, values))
    predicted = model.predict([spectrum.atoms for spectrum in true])
    reference, found = (
        np.array([quantities(integrals.thermodynamics(spectrum)) for spectrum in spectra])
        for spectra in (true, predicted)
    )
    errors = found - reference
    spread = ((reference - reference.mean(axis=0)) ** 2).sum(axis=0)
    names = ["zero-point energy (meV/atom)"]
    names += [f"{name} at {kelvin:g} K (J/(mol K))" for name in ("heat capacity", "entropy") for kelvin in KELVIN]
    print(f"{len(true)} structures; per mole of atoms\n\n| | mean | MAE | bias | R^2 |\n|---|---|---|---|---|")
    columns = (
        reference.mean(axis=0),
        abs(errors).mean(axis=0),
        errors.mean(axis=0),
        1 - (errors**2).sum(axis=0) / spread,
    )
    for name, *numbers in zip(names, *columns, strict=True):
        print(f"| {name} | {' | '.join(f'{number:.3g}' for number in numbers)} |")


if __name__ == "__main__":
    main()
