"""From the options of a user to the energy axis of a data set."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from electrain.files.checkpoints import read_checkpoint
from electrain.files.models import read_energy_axis
from electrain.pretrained import Located
from electrain.spectra.axis import FERMI_LEVEL_REFERENCE, PET_MAD_DOS_AXIS, EnergyAxis

from .axis import AxisSettings, SettingsError, grid_between
from .sampled_spectrum import DosGrid

SMEARING, STEP, MAX_SHIFT = 0.3, 0.05, 10.0  # eV, as in PET-MAD-DOS

# Published data sets with densities of states on the target grid of these axes.
LAYOUTS = {"mad": PET_MAD_DOS_AXIS}


class AxisChoice(NamedTuple):
    """Options that determine the energy axis; ``None`` if not given. Energies in eV.

    :param smearing: standard deviation of the Gaussians.
    :param step: spacing of the channels.
    :param max_shift: how far a prediction may be shifted to match its target.
    :param grid: lowest and highest energy of the targets relative to the Fermi level.
    :param dos_grid: first energy, relative to the Fermi level, and step of densities of states without energies.
    :param layout: name of a published layout, which determines all of the above.
    :param like: file of an exported model or checkpoint with the same axis and smearing.
    """

    smearing: float | None = None
    step: float | None = None
    max_shift: float | None = None
    grid: tuple[float, float] | None = None
    dos_grid: tuple[float, float] | None = None
    layout: str | None = None
    like: Located | None = None

    def settings(self) -> AxisSettings:
        """Return the complete settings.

        :raises SettingsError: for options that contradict each other, or invalid ones.
        :raises ValueError: for a model that has no axis, or another one than the data.
        :raises FileNotFoundError: if there is no such model.
        """
        if self.layout is not None and self.layout not in LAYOUTS:
            raise SettingsError(f"expected a layout, one of {', '.join(LAYOUTS)}, got {self.layout!r}")
        if self.like is not None:
            return self._as_in_model(self.like)
        if self.layout is not None:
            self._refuse("smearing", "step", "max_shift", "grid", "dos_grid", beside=f"the layout {self.layout}")
            return _settings_of(LAYOUTS[self.layout], dos_start=LAYOUTS[self.layout].target_grid.start)
        smearing = SMEARING if self.smearing is None else self.smearing
        max_shift = MAX_SHIFT if self.max_shift is None else self.max_shift
        if self.dos_grid is not None:
            self._refuse("step", "grid", beside="the grid of the densities of states")
            start, step = self.dos_grid
            return AxisSettings(step, smearing, max_shift, dos_start=start)
        step = STEP if self.step is None else self.step
        fitted = AxisSettings(step, smearing, max_shift)
        if self.grid is None:
            return fitted
        return AxisSettings(step, smearing, max_shift, targets=grid_between(*self.grid, step))

    def checkpoint(self) -> str | None:
        """Return the name or absolute path of the model in ``like`` if training can start from it: a checkpoint."""
        if self.like is None or not _is_checkpoint(self.like.path):
            return None
        return self.like.name if self.like.is_known else str(self.like.path.resolve())

    def words(self) -> dict[str, list[object]]:
        """Return the options of the command line, defaults included, with their values."""
        if self.like is not None or self.layout is not None:
            values: dict[str, list[object]] = {"--smearing": [] if self.smearing is None else [f"{self.smearing:g}"]}
        else:
            values = {
                "--smearing": [f"{SMEARING if self.smearing is None else self.smearing:g}"],
                "--step": [] if self.dos_grid else [f"{STEP if self.step is None else self.step:.10g}"],
                "--max-shift": [f"{MAX_SHIFT if self.max_shift is None else self.max_shift:g}"],
                "--grid": [f"{energy:.10g}" for energy in self.grid or ()],
            }
        values["--dos-grid"] = [f"{energy:.10g}" for energy in self.dos_grid or ()]
        values["--layout"] = [self.layout] if self.layout else []
        values["--like"] = [self.like.name] if self.like else []
        return values

    def _as_in_model(self, model: Located) -> AxisSettings:
        """Take the axis of a model; densities of states without energies have its step and smearing."""
        name = model.name
        self._refuse("step", "max_shift", "grid", beside=f"the axis of {name}")
        axis = axis_of_model(model.path)
        if axis.smearing is None and self.smearing is None:
            raise ValueError(f"{name} does not contain the smearing of its targets; give it, too")
        if axis.smearing is not None:
            self._refuse("smearing", beside=f"that of {name}, {axis.smearing:g} eV")
        smearing = axis.smearing if self.smearing is None else self.smearing
        assert smearing is not None
        given = None if self.dos_grid is None else DosGrid(*self.dos_grid, smearing)
        if self.layout is not None:
            self._refuse("dos_grid", beside=f"the layout {self.layout}")
            given = _settings_of(LAYOUTS[self.layout], dos_start=LAYOUTS[self.layout].target_grid.start).dos_grid
        if given is not None and (given.step, given.smearing) != (axis.grid.step, smearing):
            raise ValueError(
                f"expected densities of states with the step and smearing of {name}, {axis.grid.step:g} and "
                f"{smearing:g} eV, got {given.step:g} and {given.smearing:g} eV"
            )
        return _settings_of(axis, smearing=smearing, dos_start=None if given is None else given.start)

    def _refuse(self, *names: str, beside: str) -> None:
        given = [name.replace("_", " ") for name in names if getattr(self, name) is not None]
        if given:
            raise SettingsError(f"expected no {' and no '.join(given)} beside {beside}, which determines that already")


def _settings_of(axis: EnergyAxis, *, smearing: float | None = None, dos_start: float | None = None) -> AxisSettings:
    smearing = axis.smearing if smearing is None else smearing
    assert smearing is not None
    max_shift = axis.max_shift * axis.grid.step
    return AxisSettings(axis.grid.step, smearing, max_shift, targets=axis.target_grid, dos_start=dos_start)


def axis_of_model(path: Path) -> EnergyAxis:
    """Return the energy axis of an exported model or a checkpoint.

    :raises FileNotFoundError: if the file does not exist.
    :raises ValueError: for another kind of file, or a model without axis or with another zero of energy.
    """
    axis = _axis_in(read_checkpoint(path)) if _is_checkpoint(path) else read_energy_axis(path)
    if axis is None:
        raise ValueError(
            f"expected a model with an energy axis, but {path} has none: it does not predict a density of states, or "
            "was not made by electrain"
        )
    if axis.reference != FERMI_LEVEL_REFERENCE:
        raise ValueError(
            f"expected an energy axis relative to the {FERMI_LEVEL_REFERENCE}, but that of {path} is relative to the "
            f"{axis.reference}"
        )
    return axis


def _is_checkpoint(path: Path) -> bool:
    return path.suffix == ".ckpt"


def _axis_in(checkpoint: Mapping[str, Any]) -> EnergyAxis | None:
    hypers = checkpoint.get("model_data", {}).get("model_hypers", {})
    grid = hypers.get("energy_grid") if isinstance(hypers, Mapping) else None
    return None if grid is None else EnergyAxis.from_dict(grid)
