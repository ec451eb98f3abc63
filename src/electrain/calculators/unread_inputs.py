"""A warning about charges and spins that a model does not read."""

import warnings
from collections.abc import Collection

from ase import Atoms

from electrain.interface.ase_systems import unread_inputs
from electrain.structures.checks import formula_of


class UnreadInputWarning(UserWarning):
    """A structure has a charge or a spin multiplicity that has no effect, because the model does not read it."""


class UnreadInputs:
    """Warns about the first structure with a charge or a spin multiplicity that a model does not read.

    :param name: name of the model.
    :param inputs: inputs that it reads.
    """

    def __init__(self, name: str, inputs: Collection[str]) -> None:
        self._name, self._inputs = name, sorted(inputs)
        self._has_warned = False

    def check(self, atoms: Atoms) -> None:
        """Warn about a structure, unless there has been a warning before."""
        if self._has_warned:
            return
        found = unread_inputs(atoms, self._inputs)
        if found:
            self._has_warned = True
            known = f"it reads {' and '.join(self._inputs)}" if self._inputs else "it reads neither charge nor spin"
            warnings.warn(
                f"{self._name} ignores {', '.join(found)} of {formula_of(atoms)} (in atoms.info), because {known}; "
                "further structures are not mentioned",
                UnreadInputWarning,
                stacklevel=2,
            )
