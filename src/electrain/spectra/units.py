"""Units of energies and frequencies on the axes of spectra, and the factors between them."""

from scipy import constants

# eV per unit: E = h f for frequencies, and E = h c k for wavenumbers. All are exact in the SI of 2019 (CODATA 2018).
EV_PER = {
    "eV": 1.0,
    "meV": 1e-3,
    "THz": 1e12 * constants.h / constants.e,
    "cm^-1": 100.0 * constants.h * constants.c / constants.e,
}

# Other spellings in files. Upper and lower case are not the same: MeV is not meV.
_SPELLINGS = {
    "ev": "eV",
    "thz": "THz",
    "cm-1": "cm^-1",
    "1/cm": "cm^-1",
    "cm^{-1}": "cm^-1",
    "cm**-1": "cm^-1",
    "cm⁻¹": "cm^-1",
}


def known_unit(name: str) -> str:
    """Return the name of a unit as it is written here, a key of :data:`EV_PER`.

    :raises ValueError: for any other unit.
    """
    unit = _SPELLINGS.get(name.strip(), name.strip())
    if unit not in EV_PER:
        raise ValueError(f"expected a unit of energy or frequency, {', '.join(EV_PER)}, got {name!r}")
    return unit


def conversion_factor(unit: str, target: str) -> float:
    """Return by what a number in ``unit`` is multiplied to be one in ``target``.

    A density of states, whose integral stays the same, is divided by it.

    :raises ValueError: for an unknown unit.
    """
    return EV_PER[known_unit(unit)] / EV_PER[known_unit(target)]
