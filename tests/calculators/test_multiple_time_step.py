"""The multiple-time-step integrator with classical potentials."""

import io

import ase.io
import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.calculators.morse import MorsePotential
from ase.constraints import FixAtoms, FixBondLengths, Hookean
from ase.md.verlet import VelocityVerlet

from electrain.calculators.multiple_time_step import MultipleTimeStep


class Linear(Calculator):
    """Forces ``-positions @ matrix``: conservative for a symmetric matrix."""

    implemented_properties = ("energy", "forces")

    def __init__(self, matrix):
        super().__init__()
        self.matrix = np.asarray(matrix)
        self.num_evaluations = 0

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.num_evaluations += 1
        self.results["forces"] = -atoms.positions @ self.matrix
        self.results["energy"] = -0.5 * float(np.sum(atoms.positions * self.results["forces"]))


SPRING = np.diag([1.0, 2.0, 3.0])
SWIRL = 0.2 * np.array([[0.0, 1.0, -0.5], [-1.0, 0.0, 0.3], [0.5, -0.3, 0.0]])  # does work on closed paths


def oscillator(matrix=SPRING):
    atoms = Atoms("HC", positions=[[0.3, -0.1, 0.2], [-0.2, 0.4, 0.1]])
    atoms.set_momenta([[0.1, 0.2, -0.3], [1.0, 0.5, -0.4]])
    atoms.calc = Linear(matrix)
    return atoms


def aluminium(constraints=()):
    atoms = bulk("Al", cubic=True).repeat((2, 1, 1))
    atoms.set_momenta(np.random.default_rng(0).normal(size=(8, 3)) * np.sqrt(800 * units.kB * atoms.get_masses()[0]))
    atoms.set_constraint(list(constraints))
    atoms.calc = EMT()
    return atoms


def same(first, second, tolerance=1e-12):
    np.testing.assert_allclose(first.positions, second.positions, rtol=0, atol=tolerance)
    np.testing.assert_allclose(first.get_momenta(), second.get_momenta(), rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    "constraints",
    [(), (FixAtoms([0, 3]),), (Hookean(a1=0, a2=1, rt=2.0, k=5.0),)],
    ids=["free", "fixed atoms", "Hookean"],
)
@pytest.mark.parametrize("inner", ["any forces, one inner step", "the same forces"])
def test_reduces_to_velocity_verlet(inner, constraints):
    """With one inner step the inner forces cancel; with the same forces every inner step is one of Verlet."""
    expected, atoms = aluminium(constraints), aluminium(constraints)
    verlet = VelocityVerlet(expected, 2 * units.fs)
    if inner == "the same forces":
        dynamics = MultipleTimeStep(atoms, 8 * units.fs, EMT(), num_inner_steps=4)
    else:
        wrong = MorsePotential(epsilon=1.0, r0=3.0, rho0=4.0)
        dynamics = MultipleTimeStep(atoms, 2 * units.fs, wrong, num_inner_steps=1)
    verlet.run(40)
    dynamics.run(40 // dynamics.num_inner_steps)
    assert np.abs(expected.positions - aluminium().positions).max() > 0.1
    same(expected, atoms)
    if inner == "any forces, one inner step":
        assert np.abs(dynamics.inner_calculator.get_forces(atoms) - atoms.get_forces()).max() > 0.1


def test_rigid_molecules():
    """Bond lengths stay at every inner step, and with one of them it is velocity Verlet again."""
    runs = []
    for num_inner_steps, timestep in ((None, 1.0), (1, 1.0), (4, 4.0)):
        atoms = molecule("H2O")
        atoms.set_constraint(FixBondLengths([[0, 1], [0, 2], [1, 2]], tolerance=1e-13))
        atoms.set_momenta(np.random.default_rng(0).normal(size=(3, 3)))
        lengths = atoms.get_all_distances()
        atoms.calc = Linear(SPRING)
        if num_inner_steps is None:
            VelocityVerlet(atoms, timestep * units.fs).run(24)
        else:
            inner = Linear(SPRING + SWIRL) if num_inner_steps == 1 else Linear(SPRING)
            MultipleTimeStep(atoms, timestep * units.fs, inner, num_inner_steps).run(round(24 / timestep))
        np.testing.assert_allclose(atoms.get_all_distances(), lengths, atol=1e-11)
        runs.append(atoms)
    assert np.abs(runs[0].positions - molecule("H2O").positions).max() > 0.05
    same(runs[0], runs[1], 1e-11)
    same(runs[0], runs[2], 1e-11)


@pytest.mark.parametrize("matrix", [SPRING, 0.8 * SPRING + SWIRL], ids=["conservative", "not conservative"])
def test_time_reversal(matrix):
    atoms = oscillator()
    start = atoms.copy()
    for direction in ("forth", "back"):
        MultipleTimeStep(atoms, 0.2, Linear(matrix), num_inner_steps=5).run(50)
        atoms.set_momenta(-atoms.get_momenta())
        if direction == "forth":
            assert np.abs(atoms.positions - start.positions).max() > 0.1
    same(atoms, start, 1e-11)


def exact(time):
    """The oscillator's exact positions."""
    atoms = oscillator()
    frequency = np.sqrt(np.diag(SPRING)[None, :] / atoms.get_masses()[:, None])
    return atoms.positions * np.cos(frequency * time) + atoms.get_velocities() / frequency * np.sin(frequency * time)


@pytest.mark.parametrize("num_inner_steps", [1, 4])
def test_second_order(num_inner_steps):
    """Half the time step, a quarter of the error."""
    errors = []
    for timestep in (0.1, 0.05, 0.025):
        atoms = oscillator()
        inner = Linear(0.8 * SPRING + SWIRL)
        MultipleTimeStep(atoms, timestep, inner, num_inner_steps).run(round(4 / timestep))
        errors.append(np.abs(atoms.positions - exact(4.0)).max())
    assert errors[0] < 1e-2
    np.testing.assert_allclose(np.divide(errors[:-1], errors[1:]), 4.0, rtol=0.02)


def test_conserves_energy_although_the_inner_forces_do_not():
    isotropic = 2.0 * np.eye(3)
    atoms = oscillator(isotropic)
    energy = atoms.get_total_energy()
    changes = []
    dynamics = MultipleTimeStep(atoms, 0.16, Linear(isotropic + SWIRL), num_inner_steps=8)
    dynamics.attach(lambda: changes.append(atoms.get_total_energy() - energy))
    dynamics.run(1500)
    assert np.abs(changes).max() < 5e-3 * energy
    assert abs(np.mean(changes[:500]) - np.mean(changes[-500:])) < 1e-4 * energy

    # By themselves they heat the oscillator more and more.
    alone = oscillator(isotropic + SWIRL)
    VelocityVerlet(alone, 0.08).run(1000)
    assert Linear(isotropic).get_potential_energy(alone) + alone.get_kinetic_energy() > 2 * energy


def test_evaluations():
    """One accurate evaluation in an outer step, n of the others; the first ones before."""
    atoms = oscillator()
    inner = Linear(SPRING)
    dynamics = MultipleTimeStep(atoms, 0.1, inner, num_inner_steps=6)
    dynamics.attach(lambda: atoms.get_total_energy())
    dynamics.run(10)
    assert atoms.calc.num_evaluations == 11
    assert inner.num_evaluations == 61
    assert atoms.calc is not inner


def test_trajectory_and_log(tmp_path):
    """As with any dynamics of ASE; time is that of outer steps."""
    atoms = aluminium([FixAtoms([0])])
    log = io.StringIO()
    path = tmp_path / "md.traj"
    dynamics = MultipleTimeStep(atoms, 4 * units.fs, EMT(), 2, trajectory=str(path), logfile=log, loginterval=2)
    dynamics.run(6)
    dynamics.run(2)
    assert dynamics.get_time() == pytest.approx(32 * units.fs)
    frames = ase.io.read(path, ":")
    assert len(frames) == 5
    same(frames[-1], atoms)
    assert frames[-1].get_potential_energy() == atoms.get_potential_energy()
    times = [float(line.split()[0]) for line in log.getvalue().splitlines()[1:]]
    assert times == pytest.approx([0.0, 0.008, 0.016, 0.024, 0.032], abs=1e-4)
    with ase.io.Trajectory(path) as trajectory:
        assert trajectory.description["num-inner-steps"] == 2
        assert trajectory.description["md-type"] == "MultipleTimeStep"


@pytest.mark.parametrize("number", [0, -8, 2.5])
def test_impossible_numbers_of_steps(number):
    with pytest.raises(ValueError, match=f"positive integer number of inner steps, got {number}"):
        MultipleTimeStep(oscillator(), 0.1, Linear(SPRING), number)


def test_errors_leave_the_calculator_in_place():
    class Broken(Linear):
        def calculate(self, *arguments):
            raise RuntimeError("no forces")

    atoms = oscillator()
    calculator = atoms.calc
    with pytest.raises(RuntimeError, match="no forces"):
        MultipleTimeStep(atoms, 0.1, Broken(SPRING)).run(1)
    assert atoms.calc is calculator
