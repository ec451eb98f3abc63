"""From the numbers of single structures to those of subsets: the errors reported in the papers."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from ase.formula import Formula
from numpy.typing import NDArray

from electrain.data.reading import Entry
from electrain.interface.quantities import BAND_GAP, ENERGY, FERMI_LEVEL, FORCES, STRESS, quantity_of
from electrain.spectra import AlignedErrors, AlignedRMSE

from .chunk_files import read_chunks
from .structure_errors import StructureErrors

ALL = "all structures"
_MILLI = 1000.0
_GAP, _LEVEL = quantity_of(BAND_GAP), quantity_of(FERMI_LEVEL)


@dataclass(frozen=True, eq=False)
class ErrorTable:
    """Numbers of all structures of a part, or of some of them.

    :param entries: entry of each structure in the data set.
    :param values: shape ``(num_structures, num_numbers)``, the columns of
        :class:`~electrain.evaluation.structure_errors.StructureErrors`.
    :param reasons: why a structure was left out, ``""`` if it was not.
    """

    entries: list[Entry]
    values: NDArray[np.float64]
    reasons: list[str]

    @classmethod
    def read(cls, entries: Sequence[Entry], files: Sequence[Path]) -> "ErrorTable":
        """Read all chunks of an evaluation, except the spectra."""
        values, reasons = [], []
        for chunk in read_chunks(files):
            values.append(chunk.errors)
            reasons += chunk.reasons.tolist()
        return cls(list(entries), np.concatenate(values), reasons)

    def __len__(self) -> int:
        return len(self.entries)

    def column(self, name: str) -> NDArray[np.float64]:
        """Return one number for every structure; names are those of ``StructureErrors``."""
        return self.values[:, StructureErrors._fields.index(name)]

    def formulas(self) -> list[str]:
        """Chemical formulas, not reduced, with metals first."""
        reduced = [Formula(entry.formula) for entry in self.entries]
        numbers = self.column("num_atoms").astype(int).tolist()
        pairs = zip(reduced, numbers, strict=True)
        return [(formula * (number // len(formula))).format("metal") for formula, number in pairs]

    def pick(self, chosen: NDArray[np.bool_]) -> "ErrorTable":
        """Return the table of some of the structures."""
        indices = np.flatnonzero(chosen).tolist()
        return ErrorTable([self.entries[i] for i in indices], self.values[chosen], [self.reasons[i] for i in indices])

    def subsets(self) -> dict[str, "ErrorTable"]:
        """Return tables of the subsets, largest first, and of all structures if there is more than one subset."""
        names = np.array([entry.subset for entry in self.entries])
        sizes = Counter(names.tolist())
        found = {name: self.pick(names == name) for name in sorted(sizes, key=lambda name: (-sizes[name], name))}
        return {**(found if len(found) > 1 else {}), ALL: self}

    def dos_errors(self) -> NDArray[np.float64]:
        """Root of the alignment term per electron of each structure, in eV^-1/2: the quantity averaged in eq. 10."""
        return np.sqrt(self.column("alignment") / self.column("electrons"))

    def differences(self, predicted: str, true: str) -> NDArray[np.float64]:
        """Return predicted minus true values for the structures that have both."""
        errors = self.column(predicted) - self.column(true)
        return errors[np.isfinite(errors)]


class Metric(NamedTuple):
    """One row of the summary.

    :param key: its name in JSON and CSV files.
    :param label: its name for readers.
    :param unit: unit of the values, ``""`` for numbers of structures.
    :param compute: function that returns its value for a table of structures, NaN if there is none.
    """

    key: str
    label: str
    unit: str
    compute: Callable[[ErrorTable], float]


def _aligned(table: ErrorTable) -> AlignedErrors | None:
    known = np.isfinite(table.column("alignment"))
    if not known.any():
        return None
    errors = AlignedRMSE(step=1.0)  # the alignment terms already contain the step
    columns = (torch.from_numpy(table.column(name)[known]) for name in ("alignment", "electrons", "num_atoms"))
    errors.add(*columns)
    return errors.compute()


def _per_electron(table: ErrorTable) -> float:
    errors = _aligned(table)
    return np.nan if errors is None else errors.per_electron


def _per_atom(table: ErrorTable) -> float:
    errors = _aligned(table)
    return np.nan if errors is None else errors.per_atom


def _count(name: str) -> Callable[[ErrorTable], float]:
    return lambda table: float(np.isfinite(table.column(name)).sum())


def mean_absolute(values: NDArray[np.float64]) -> float:
    """Mean of absolute values; NaN without values."""
    return float(np.abs(values).mean()) if len(values) else np.nan


def root_mean_square(values: NDArray[np.float64]) -> float:
    """Root of the mean of squares; NaN without values."""
    return float(np.sqrt(np.mean(values**2))) if len(values) else np.nan


def _errors_of(key: str, label: str, unit: str, errors: Callable[[ErrorTable], NDArray[np.float64]]) -> list[Metric]:
    return [
        Metric(f"{key}_mae", f"{label}: MAE", unit, lambda table: mean_absolute(errors(table))),
        Metric(f"{key}_rmse", f"{label}: RMSE", unit, lambda table: root_mean_square(errors(table))),
    ]


def _gap_or_level(key: str, label: str, unit: str, predicted: str, true: str) -> list[Metric]:
    number = Metric(
        f"{key}_structures", f"{label}: structures", "", lambda table: float(len(table.differences(predicted, true)))
    )
    return [number, *_errors_of(key, label, unit, lambda table: table.differences(predicted, true))]


def _energy_errors(table: ErrorTable) -> NDArray[np.float64]:
    errors = (table.column("predicted_energy") - table.column("true_energy")) / table.column("num_atoms")
    return _MILLI * errors[np.isfinite(errors)]


def _components(name: str, label: str, unit: str) -> list[Metric]:
    def mean(table: ErrorTable, power: str) -> float:
        count = np.nansum(table.column(f"num_{name}"))
        return float(np.nansum(table.column(f"{name}_{power}")) / count) if count else np.nan

    return [
        Metric(f"{name}_mae", f"{label}: MAE", unit, lambda table: _MILLI * mean(table, "absolute")),
        Metric(f"{name}_rmse", f"{label}: RMSE", unit, lambda table: _MILLI * mean(table, "squared") ** 0.5),
    ]


METRICS: tuple[Metric, ...] = (
    Metric("structures", "structures", "", lambda table: float(len(table))),
    Metric("left_out", "structures left out", "", lambda table: float(sum(map(bool, table.reasons)))),
    Metric("dos_structures", "DOS: structures", "", _count("alignment")),
    Metric("dos_rmse_per_electron", "DOS: RMSE per electron (eq. 10)", "eV^-1/2", _per_electron),
    Metric("dos_rmse_per_atom", "DOS: RMSE per atom", "states eV^-1/2", _per_atom),
    Metric("rotated_structures", "rotational discrepancy: structures", "", _count("discrepancy")),
    Metric(
        "rotational_discrepancy",
        "rotational discrepancy (eq. 11)",
        "eV^-1/2",
        lambda table: root_mean_square(table.column("discrepancy")[np.isfinite(table.column("discrepancy"))]),
    ),
    *_gap_or_level("gap_head", "gap, model", _GAP.unit, "predicted_gap", "true_gap"),
    *_gap_or_level(
        "gap_predicted_dos", "gap, counting in predicted DOS", _GAP.unit, "predicted_gap_counted", "true_gap"
    ),
    *_gap_or_level("gap_true_dos", "gap, counting in true DOS", _GAP.unit, "true_gap_counted", "true_gap"),
    *_gap_or_level("fermi_head", f"{_LEVEL.label}, model", _LEVEL.unit, "predicted_level", "true_level"),
    *_gap_or_level("fermi_counted", f"{_LEVEL.label}, counting", _LEVEL.unit, "predicted_level_counted", "true_level"),
    *_errors_of("energy", quantity_of(ENERGY).label, "meV/atom", _energy_errors),
    *_components("forces", quantity_of(FORCES).label, "meV/A"),
    *_components("stresses", quantity_of(STRESS).label, "meV/A^3"),
)

Summary = dict[str, dict[str, float]]


def summarise(table: ErrorTable) -> Summary:
    """Compute all metrics of every subset and of all structures: subset -> key of the metric -> value.

    Metrics that are unknown for all subsets are left out.
    """
    subsets = table.subsets()
    values = {name: {metric.key: metric.compute(rows) for metric in METRICS} for name, rows in subsets.items()}
    units = {metric.key: metric.unit for metric in METRICS}
    shown = [
        key
        for key, value in values[ALL].items()
        if (np.isfinite(value) if units[key] else value > 0) or key in ("structures", "left_out")
    ]
    return {name: {key: row[key] for key in shown} for name, row in values.items()}
