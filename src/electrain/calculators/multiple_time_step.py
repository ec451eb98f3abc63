"""Molecular dynamics with two kinds of forces: fast ones at every step, accurate ones at every n-th step."""

from typing import IO, Any

import numpy as np
from ase import Atoms
from ase.calculators.abc import GetPropertiesMixin
from ase.md.md import MolecularDynamics
from numpy.typing import NDArray


class MultipleTimeStep(MolecularDynamics):
    r"""Molecular dynamics at constant energy with a multiple-time-step integrator.

    >>> atoms.calc = ElectronicStructureCalculator("model.pt")
    >>> direct = ElectronicStructureCalculator("model.pt", non_conservative="forces")
    >>> MultipleTimeStep(atoms, 4 * ase.units.fs, direct, num_inner_steps=8).run(1000)  # 4 ps; direct: every 0.5 fs

    The forces of ``atoms.calc`` are applied once per time step, and those of a faster calculator in between: the
    reversible reference system propagator (Tuckerman, Berne and Martyna, J. Chem. Phys. 97, 1990 (1992))

    .. math:: e^{\frac{\Delta t}{2} L_{F - f}} \left[ e^{\frac{h}{2} L_f} e^{h L_p} e^{\frac{h}{2} L_f} \right]^n
        e^{\frac{\Delta t}{2} L_{F - f}}, \qquad h = \Delta t / n

    with the forces F of ``atoms.calc`` and f of the inner calculator; :math:`L_F` applies a force to the
    momenta, :math:`L_p` moves the atoms. The integrator is time-reversible and of second order; with n = 1 or F = f it
    is velocity Verlet with F. If F is conservative, the energy of ``atoms.calc`` is conserved even if f is predicted
    directly, not as the derivative of an energy (PET-MAD, arXiv:2503.14118, section S12: n = 8 and h = 0.5 fs).

    Time steps, trajectories, loggers and observers count outer steps, at which energy and forces of ``atoms.calc`` are
    known. An outer step of half the period of a vibration resonates with it and heats it (C-H: 5.5 fs; the paper uses
    4 fs). If f is useless, outer steps must be shorter than the period divided by pi, as for velocity Verlet.

    :param atoms: structure with the accurate calculator; constraints act at every inner step.
    :param timestep: outer time step :math:`\Delta t`, in ASE's time unit.
    :param inner_calculator: the faster calculator.
    :param num_inner_steps: number of inner steps n per outer step.
    :param trajectory: trajectory file, as in all ASE dynamics.
    :param logfile: log file, with one line every ``loginterval`` outer steps.
    :param loginterval: interval of log file and trajectory, in outer steps.
    :param options: further options of ``ase.md.md.MolecularDynamics``.
    :raises ValueError: for a number of inner steps that is not a positive integer.
    """

    def __init__(
        self,
        atoms: Atoms,
        timestep: float,
        inner_calculator: GetPropertiesMixin,
        num_inner_steps: int = 8,
        trajectory: Any = None,
        logfile: IO | str | None = None,
        loginterval: int = 1,
        **options: Any,
    ) -> None:
        if num_inner_steps != int(num_inner_steps) or num_inner_steps < 1:
            raise ValueError(f"expected a positive integer number of inner steps, got {num_inner_steps}")
        self.inner_calculator = inner_calculator
        self.num_inner_steps = int(num_inner_steps)
        super().__init__(atoms, timestep, trajectory, logfile, loginterval, **options)

    def todict(self) -> dict[str, Any]:
        """Return the description of the dynamics for trajectory files."""
        return {**super().todict(), "num-inner-steps": self.num_inner_steps}

    def step(self) -> None:
        """Do one outer step."""
        atoms = self.atoms
        masses = atoms.get_masses()[:, None]
        inner_step = self.dt / self.num_inner_steps
        fast = self._inner_forces()
        # The two half steps with forces at the same positions are combined, so that constraints act on their sum.
        impulse = 0.5 * self.dt * (atoms.get_forces(md=True) - fast) + 0.5 * inner_step * fast
        for inner in range(self.num_inner_steps):
            momenta = atoms.get_momenta() + impulse
            positions = atoms.get_positions()
            # RATTLE: constraints change the new positions, the momenta follow them ...
            atoms.set_positions(positions + inner_step * momenta / masses)
            if atoms.constraints:
                momenta = (atoms.get_positions() - positions) * masses / inner_step
            atoms.set_momenta(momenta, apply_constraint=False)

            fast = self._inner_forces()
            impulse = 0.5 * inner_step * fast
            closing = impulse
            if inner == self.num_inner_steps - 1:
                closing = impulse + 0.5 * self.dt * (atoms.get_forces(md=True) - fast)
            # ... and here they change the momenta.
            atoms.set_momenta(atoms.get_momenta() + closing)

    def _inner_forces(self) -> NDArray[np.float64]:
        """Forces of the inner calculator, with constraints applied as for those of ``atoms.calc``."""
        outer_calculator = self.atoms.calc
        self.atoms.calc = self.inner_calculator
        try:
            forces: NDArray[np.float64] = self.atoms.get_forces(md=True)
        finally:
            self.atoms.calc = outer_calculator
        return forces
