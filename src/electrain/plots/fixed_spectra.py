"""Labels of spectra on a fixed axis, in the unit of that axis."""

_NAMES = {"cm^-1": "wavenumber", "THz": "frequency"}


def axis_label(unit: str) -> str:
    """Return the label of an axis of frequencies or energies."""
    return f"{_NAMES.get(unit, 'energy')} ({readable_unit(unit)})"


def readable_unit(unit: str) -> str:
    """Return a unit as matplotlib typesets it."""
    return unit.replace("^-1", "$^{-1}$")
