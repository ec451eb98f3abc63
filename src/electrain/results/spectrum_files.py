"""Spectra on a fixed axis as JSON and CSV files, with units in the names; no incomplete file is left behind."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from .files import JsonWriter, writing
from .spectrum import Spectrum


@contextmanager
def open_spectrum_writer(path: str | Path) -> Iterator["SpectrumJsonWriter | SpectrumCsvWriter"]:
    """Open a JSON or CSV file for spectra, which replaces ``path`` once all are written without an error.

    :param path: must end with ``.json`` or ``.csv``.
    :raises ValueError: for another ending.
    :raises OSError: if the file cannot be written.
    """
    with writing(path, SpectrumJsonWriter, SpectrumCsvWriter) as writer:
        yield writer


class SpectrumJsonWriter:
    """One object with the key ``structures``, a list of what :meth:`~.spectrum.Spectrum.to_dict` returns."""

    def __init__(self, file: TextIO) -> None:
        self._entries = JsonWriter(file)

    def write(self, spectrum: Spectrum, name: str) -> None:
        """Append a spectrum."""
        self._entries.append(spectrum.to_dict(name))

    def finish(self) -> None:
        """Close the list."""
        self._entries.finish()


class SpectrumCsvWriter:
    """One row per structure and channel: ``structure``, ``formula``, the axis, and the value there."""

    def __init__(self, file: TextIO) -> None:
        self._rows = csv.writer(file, lineterminator="\n")
        self._is_empty = True

    def write(self, spectrum: Spectrum, name: str) -> None:
        """Append the rows of a spectrum; all must be of one target."""
        if self._is_empty:
            self._rows.writerow(["structure", "formula", spectrum.axis_column, spectrum.values_column])
            self._is_empty = False
        channels = zip(spectrum.axis.values().tolist(), spectrum.values.tolist(), strict=True)
        self._rows.writerows([name, spectrum.formula, f"{x:.8g}", f"{value:.8g}"] for x, value in channels)

    def finish(self) -> None:
        """Do nothing, because nothing follows the last row."""
