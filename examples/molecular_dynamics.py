"""Molecular dynamics with one model in three variants, and the electronic structure along the trajectory.

    python molecular_dynamics.py model.pt structure.cif --picoseconds 1

runs at constant energy with conservative forces (derivatives of the energy), with forces that the model predicts
directly, and with a multiple-time-step integrator that uses direct forces every 0.5 fs and conservative ones every
8th step. It prints how much energy each of them gains or loses, and plots density of states, band gap and Fermi level
along the last trajectory. The model needs the targets `energy`, `non_conservative_force` and `mtt::dos`, and for all
panels `mtt::bandgap` and `mtt::efermi` as well.
"""

import argparse
import time
from pathlib import Path

import ase.io
import matplotlib.pyplot as plt
import numpy as np
from ase import Atoms, units
from ase.md.verlet import VelocityVerlet

from electrain.calculators import ElectronicStructureCalculator, ElectronicStructureModel
from electrain.calculators.multiple_time_step import MultipleTimeStep

TIMESTEP = 0.5 * units.fs
NUM_INNER_STEPS = 8
PICOSECOND = 1000 * units.fs


def main() -> None:
    """Run the three simulations and plot the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="exported model, a .pt file")
    parser.add_argument("structure", help="any file that ASE reads; its first frame is the initial structure")
    parser.add_argument("--temperature", type=float, default=300.0, help="initial temperature in K (default: 300)")
    parser.add_argument("--picoseconds", type=float, default=1.0, help="length of each run (default: 1)")
    parser.add_argument("--output", type=Path, default=Path("."), help="folder for trajectories and figure")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)

    start = ase.io.read(arguments.structure, index=0)
    set_temperature(start, arguments.temperature)
    conservative = ElectronicStructureCalculator(arguments.model)
    # The same model in memory, for forces without derivatives.
    direct = ElectronicStructureCalculator(conservative.model(), non_conservative="forces")

    print(f"{len(start)} atoms, {arguments.temperature:g} K, {arguments.picoseconds:g} ps\n")
    print(f"{'forces':20}{'drift (meV/atom/ps)':>20}{'mean temperature (K)':>22}{'seconds':>10}")
    energies = {}
    for name in ("conservative", "direct", "multiple_time_step"):
        atoms = start.copy()
        atoms.calc = direct if name == "direct" else conservative
        trajectory = str(arguments.output / f"{name}.traj")
        if name == "multiple_time_step":
            dynamics = MultipleTimeStep(
                atoms, NUM_INNER_STEPS * TIMESTEP, direct, num_inner_steps=NUM_INNER_STEPS, trajectory=trajectory
            )
        else:
            dynamics = VelocityVerlet(atoms, TIMESTEP, trajectory=trajectory, loginterval=NUM_INNER_STEPS)
        began = time.perf_counter()
        dynamics.run(round(arguments.picoseconds * PICOSECOND / dynamics.dt))
        seconds = time.perf_counter() - began

        frames = ase.io.read(trajectory, ":")
        times = NUM_INNER_STEPS * TIMESTEP / PICOSECOND * np.arange(len(frames))  # ps
        energy = np.array([1000 * frame.get_total_energy() / len(frame) for frame in frames])  # meV/atom
        energies[name] = (times, energy - energy[0])
        temperature = np.mean([frame.get_temperature() for frame in frames])
        drift = np.polyfit(times, energy, 1)[0]
        print(f"{name:20}{drift:20.3f}{temperature:22.0f}{seconds:10.1f}")

    # One call gives the electronic structure along a trajectory; results come one by one, in order.
    model = ElectronicStructureModel(arguments.model)
    results = list(model.predict_many(ase.io.iread(arguments.output / "multiple_time_step.traj")))
    figure = plot(energies, results)
    figure.savefig(arguments.output / "molecular_dynamics.png", dpi=150)
    print(f"\nwrote {arguments.output / 'molecular_dynamics.png'}")


def set_temperature(atoms: Atoms, temperature: float) -> None:
    """Draw momenta from the Maxwell-Boltzmann distribution, without net momentum, scaled to the exact temperature."""
    widths = np.sqrt(atoms.get_masses()[:, None] * units.kB * temperature)
    momenta = widths * np.random.default_rng(0).normal(size=(len(atoms), 3))
    velocity = momenta.sum(axis=0) / atoms.get_masses().sum()
    momenta -= atoms.get_masses()[:, None] * velocity
    drawn = 0.5 * (momenta**2 / atoms.get_masses()[:, None]).sum()
    wanted = 1.5 * (len(atoms) - 1) * units.kB * temperature
    atoms.set_momenta(momenta * np.sqrt(wanted / drawn) if drawn > 0 else momenta)


def plot(energies: dict, results: list) -> plt.Figure:
    """Total energies of all runs, and the electronic structure along the last one."""
    has_gap = results[0].band_gap is not None
    has_level = results[0].fermi_level is not None
    num_panels = 2 + has_gap + has_level
    figure, axes = plt.subplots(num_panels, 1, figsize=(7, 2.3 * num_panels), sharex=True, layout="constrained")
    for name, (times, energy) in energies.items():
        axes[0].plot(times, energy, label=name.replace("_", " "))
    axes[0].set_yscale("symlog", linthresh=1.0)
    axes[0].set_ylabel("change in total\nenergy (meV/atom)")
    axes[0].legend(title="forces")

    times = energies["multiple_time_step"][0]
    spectra = np.array([result.density_of_states for result in results]) / len(results[0].atoms)
    # Without a Fermi level, energies are on the model's own axis; with one, each frame has its own zero.
    window = np.linspace(-12, 6, 361) if has_level else results[0].energies
    spectra = [np.interp(window, r.energies, s) for r, s in zip(results, spectra, strict=True)]
    image = axes[1].pcolormesh(times, window, np.transpose(spectra), shading="nearest", cmap="viridis")
    figure.colorbar(image, ax=axes[1], label="DOS (states/eV/atom)")
    axes[1].set_ylabel("E - E$_F$ (eV)" if has_level else "E (eV)")
    if has_gap:
        axes[2].plot(times, [result.band_gap for result in results], color="black")
        axes[2].set_ylabel("band gap (eV)")
    if has_level:
        axes[-1].plot(times, [result.fermi_level for result in results], color="black")
        axes[-1].set_ylabel("Fermi level on the\nmodel's axis (eV)")
    for panel in axes[2:]:
        panel.ticklabel_format(useOffset=False)
    axes[-1].set_xlabel("time (ps)")
    return figure


if __name__ == "__main__":
    main()
