"""Snapshots of bulk silicon from molecular dynamics at three temperatures.

    python snapshots.py silicon.xyz [--seed 1]

The trajectories are of the eight-atom cubic cell with Tersoff's potential at constant volume: they only have
to visit plausible geometries, the electronic structure is computed for each snapshot afterwards. `info` has
what `compute.py` needs, and the temperature in K. Successive snapshots resemble each other: they go to the
parts of the data in blocks of five, and `parent` is the block.
"""

import argparse
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.tersoff import Tersoff, TersoffParameters
from ase.constraints import FixCom
from ase.io import write
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta

LATTICE_CONSTANT = 5.43  # angstrom
TEMPERATURES = (300, 600, 900)  # K
TIME_STEP = 2.0  # fs
FRICTION = 0.01  # 1/fs
EQUILIBRATION = 2000.0  # fs
CUTOFF = 250.0  # eV; against 400 eV, root mean square: 1e-4 states/eV/atom, forces within 0.3 meV/A
INTERVAL = 200.0  # fs between two snapshots, twice the friction's time
BLOCK = 5
PARTS = ("train", "train", "test", "train", "train", "validation", "train", "test", "train", "train")

# J. Tersoff, Phys. Rev. B 38, 9902 (1988), set C: eV and angstrom
SILICON = TersoffParameters(
    m=3.0,
    gamma=1.0,
    lambda3=1.7322,
    c=1.0039e5,
    d=16.218,
    h=-0.59826,
    n=0.78734,
    beta=1.0999e-6,
    lambda2=1.7322,
    B=471.18,
    R=2.85,
    D=0.15,
    lambda1=2.4799,
    A=1830.8,
)


def snapshots(temperature: int, count: int, rng: np.random.Generator) -> list[Atoms]:
    """Run a trajectory at a temperature in K and return snapshots of it."""
    atoms = bulk("Si", a=LATTICE_CONSTANT, cubic=True)
    atoms.calc = Tersoff({("Si", "Si", "Si"): SILICON})
    atoms.set_constraint(FixCom())
    thermalize_momenta(atoms, temperature, rng=rng)
    dynamics = Langevin(
        atoms,
        TIME_STEP * units.fs,
        temperature_K=temperature,
        friction=FRICTION / units.fs,
        fixcm=False,
        rng=rng,
    )
    dynamics.run(round(EQUILIBRATION / TIME_STEP))
    frames = []
    for i in range(count):
        dynamics.run(round(INTERVAL / TIME_STEP))
        part = PARTS[i // BLOCK % len(PARTS)]
        frame = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
        frame.info = {
            "id": f"silicon-{temperature}K-{i:03d}",
            "subset": "snapshot",
            "parent": f"silicon-{temperature}K-block{i // BLOCK:02d}",
            "prototype": "diamond",
            "split": part,
            "k_scale": 1.2 if part == "test" else 1.0,
            "temperature": temperature,
            "cutoff": CUTOFF,
        }
        frames.append(frame)
    return frames


def main() -> None:
    """Write the snapshots of all temperatures, in random order."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="extended XYZ file to write")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100, help="snapshots per temperature")
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    frames = [frame for t in TEMPERATURES for frame in snapshots(t, args.count, rng)]
    write(args.output, [frames[i] for i in rng.permutation(len(frames))], format="extxyz")
    for t in TEMPERATURES:
        positions = np.array([f.positions for f in frames if f.info["temperature"] == t])
        spread = np.sqrt(((positions - positions.mean(axis=0)) ** 2).sum(axis=2).mean())
        print(f"{t} K: {len(positions)} snapshots, root mean square displacement {spread:.3f} A")


if __name__ == "__main__":
    main()
