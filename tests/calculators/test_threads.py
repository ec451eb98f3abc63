"""One model, used by several threads at once."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from ase.build import bulk, molecule

from electrain.calculators import ElectronicStructureCalculator, ElectronicStructureModel

NUM_THREADS = 8


def structures():
    """Of different sizes, so that a neighbor list of another one would be noticed."""
    random = np.random.default_rng(0)
    molecules = [molecule(name, vacuum=3.0, pbc=True) for name in ("H2O", "CH3CH2OH")]
    frames = [bulk("Si"), bulk("Al") * (2, 2, 1), *molecules, bulk("Si") * (2, 1, 1)]
    frames = [frame.copy() for _ in range(8) for frame in frames]
    for frame in frames:
        frame.positions += 0.02 * random.normal(size=frame.positions.shape)
    return frames


def in_threads(function, frames):
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        return list(pool.map(function, frames))


def test_predictions(model_file):
    model = ElectronicStructureModel(model_file, device="cpu")
    frames = structures()
    expected = [model.predict(atoms).density_of_states for atoms in frames]
    for found, values in zip(in_threads(model.predict, frames), expected, strict=True):
        np.testing.assert_allclose(found.density_of_states, values, rtol=1e-12, atol=1e-12)


def test_one_ase_calculator(model_file):
    calculator = ElectronicStructureCalculator(model_file, device="cpu")
    frames = structures()

    def energy(atoms):
        return calculator.get_property("energy", atoms), calculator.get_property("forces", atoms)

    expected = [energy(atoms) for atoms in frames]
    for found, (value, forces) in zip(in_threads(energy, frames), expected, strict=True):
        assert abs(found[0] - value) < 1e-10
        np.testing.assert_allclose(found[1], forces, rtol=1e-10, atol=1e-10)


def test_a_calculator_for_each_thread(model_file):
    """With the same loaded model."""
    first = ElectronicStructureCalculator(model_file, device="cpu")
    frames = structures()
    expected = [first.get_property("energy", atoms) for atoms in frames]

    def energy(atoms):
        return ElectronicStructureCalculator(first.model(), device="cpu").get_property("energy", atoms)

    np.testing.assert_allclose(in_threads(energy, frames), expected, rtol=0, atol=1e-10)
