"""Choices among the options of ``electrain prepare``."""

from enum import StrEnum


class MissingBands(StrEnum):
    """What to do with structures that have too few bands."""

    DROP = "drop"
    KEEP = "keep"


class Format(StrEnum):
    """Formats of a data set."""

    XYZ = "xyz"
    ZIP = "zip"
    MEMMAP = "memmap"


class Spectra(StrEnum):
    """Spectra on a fixed axis."""

    PHONON = "phonon"
    ELECTRONIC = "electronic"


class Normalize(StrEnum):
    """Ways to scale spectra to a maximum of one."""

    MAXIMUM = "maximum"
    SMOOTHED = "smoothed"


class Unit(StrEnum):
    """Units of axes."""

    EV = "eV"
    MEV = "meV"
    THZ = "THz"
    CM = "cm^-1"


class Layout(StrEnum):
    """Layouts of published data sets."""

    MAD = "mad"
