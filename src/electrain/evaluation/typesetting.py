"""Units as tables write them, such as ``eV^-1/2`` and ``meV/A^3``, typeset for figures and pages."""

import html
import re

_POWER = re.compile(r"\^(-?)([0-9]+(?:/[0-9]+)?)")
_ANGSTROM = re.compile(r"(?<![A-Za-z])A(?![A-Za-z])")


def as_mathtext(unit: str) -> str:
    r"""Typeset a unit for matplotlib: ``eV/A^3`` becomes ``eV/Å$^{3}$``."""
    return _POWER.sub(r"$^{\1\2}$", _ANGSTROM.sub("Å", unit))


def as_html(unit: str) -> str:
    """Typeset a unit for a page: ``eV/A^3`` becomes ``eV/Å<sup>3</sup>``."""

    def power(match: re.Match[str]) -> str:
        return f"<sup>{'&minus;' if match[1] else ''}{match[2]}</sup>"

    return _POWER.sub(power, _ANGSTROM.sub("Å", html.escape(unit)))
