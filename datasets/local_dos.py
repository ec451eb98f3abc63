"""Local densities of states on an axis, from the states and projections of `projections.py`, to train on.

    python local_dos.py projected.xyz -o FOLDER [--formula MoO3]

Writes FOLDER/train.xyz, validation.xyz and test.xyz, with energies, forces and `local_dos` of each atom, and an
`options.yaml` for `mtt train` with the architecture `tiny_net`. The local density of states of atom a is

    D_a(E) = sum over k, n of w_k p_akn g(E - e_kn + e_0)

in states/eV, with the weights w, the shares p, and Gaussians g. The zero e_0 is the mean of the eigenvalues of the
oxygen 2p bands, the highest 3 occupied ones for each oxygen atom: unlike the Fermi level and the top of the valence
band, it does not depend on the single most distorted place of the cell.
"""

import argparse
from pathlib import Path

import numpy as np
import yaml
from ase import Atoms
from ase.formula import Formula
from ase.io import read, write

START, STOP, STEP = -6.0, 8.0, 0.1  # eV
SMEARING = 0.2  # eV
PARTS = ("train", "validation", "test")


def axis() -> np.ndarray:
    """Return the energies in eV."""
    return np.arange(START, STOP + STEP / 2, STEP)


def states_of(frame: Atoms) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return eigenvalues (k points, bands), weights (k points,) and shares (atoms, k points, bands) of a frame."""
    eigenvalues = np.atleast_2d(frame.info["eigenvalues"])
    weights = np.atleast_1d(frame.info["kweights"])
    return eigenvalues, weights, frame.arrays["projections"].reshape(len(frame), *eigenvalues.shape)


def center_of_oxygen_bands(frame: Atoms) -> float:
    """Return the mean energy in eV of the oxygen 2p bands."""
    eigenvalues, weights, _ = states_of(frame)
    occupied = round(frame.info["n_electrons"] / 2)
    bands = eigenvalues[:, occupied - 3 * frame.symbols.count("O") : occupied]
    return float(weights @ bands.mean(axis=1) / weights.sum())


def local_dos(frame: Atoms) -> np.ndarray:
    """Return the local densities of states in states/eV, (atoms, channels)."""
    eigenvalues, weights, shares = states_of(frame)
    highest = frame.info["emax"] - center_of_oxygen_bands(frame)
    if highest < STOP + 2 * SMEARING:
        raise ValueError(f"{frame.info['id']}: bands end at {highest:.2f} eV, the axis at {STOP} eV")
    distances = (axis() - (eigenvalues - center_of_oxygen_bands(frame))[..., None]) / SMEARING
    gaussians = np.exp(-(distances**2) / 2) / (SMEARING * np.sqrt(2 * np.pi))
    return np.einsum("k,akn,kne->ae", weights, shares, gaussians)


def labelled(frame: Atoms) -> Atoms:
    """Return a copy with what is trained on."""
    copy = Atoms(frame.numbers, positions=frame.positions, cell=frame.cell, pbc=frame.pbc)
    copy.info = {"id": frame.info["id"], "dft_energy": frame.get_potential_energy()}
    copy.arrays["dft_forces"] = frame.get_forces()
    copy.arrays["local_dos"] = np.round(local_dos(frame), 4)
    return copy


def options() -> dict:
    """Return the options of a training."""
    energy = {"quantity": "energy", "unit": "eV", "key": "dft_energy", "forces": {"key": "dft_forces"}}
    force = {"type": {"cartesian": {"rank": 1}}, "sample_kind": "atom", "unit": "eV/A", "key": "dft_forces"}
    spectrum = {"type": "scalar", "sample_kind": "atom", "num_subtargets": len(axis()), "key": "local_dos"}
    targets = {"energy": energy, "non_conservative_force": force, "mtt::local_dos": spectrum}
    axes = {"mtt::local_dos": {"start": START, "step": STEP, "size": len(axis()), "unit": "eV"}}
    sets = {
        f"{'training' if part == 'train' else part}_set": {
            "systems": {"read_from": f"{part}.xyz", "length_unit": "angstrom"},
            "targets": targets,
        }
        for part in PARTS
    }
    return {"architecture": {"name": "tiny_net", "model": {"fixed_axes": axes}}, **sets}


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path, nargs="+", help="files written by projections.py")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write, which must not exist")
    parser.add_argument("--formula", help="only structures of this formula")
    args = parser.parse_args()
    frames = [frame for file in args.input for frame in read(file, ":")]
    formulas = [f.symbols.formula.reduce()[0].format("metal") for f in frames]
    wanted = None if args.formula is None else Formula(args.formula).format("metal")
    chosen = [f for f, formula in zip(frames, formulas, strict=True) if wanted in (None, formula)]
    if not chosen:
        parser.error(f"expected one of the formulas {', '.join(sorted(set(formulas)))}, got {args.formula}")
    args.output.mkdir(parents=True)
    for part in PARTS:
        of_part = [labelled(frame) for frame in chosen if frame.info["split"] == part]
        write(args.output / f"{part}.xyz", of_part, format="extxyz")
        print(len(of_part), part)
    (args.output / "options.yaml").write_text(yaml.safe_dump(options(), sort_keys=False))


if __name__ == "__main__":
    main()
