"""``electrain prepare``: data sets of calculations on meshes of k-points."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .common import preparing, show_rejected

if TYPE_CHECKING:
    from electrain.data import PreparedDataset
    from electrain.data.table import Row

_FEW_HELD_OUT = 0.7  # of what was requested


def prepare_and_show(sources: Sequence[Path], output: Path, **settings: Any) -> None:
    """Make the data set, and show what is in it.

    :param sources: files or folders.
    :param output: folder to write to.
    :param settings: see :func:`electrain.data.prepare_dataset`.
    """
    from electrain.data import prepare_dataset  # imports torch, which takes seconds

    with preparing():
        prepared = prepare_dataset(sources, output, **settings, progress=True)
    _show_summary(prepared, settings["split"])


def _show_summary(prepared: "PreparedDataset", split: tuple[float, float, float] | str | None) -> None:
    typer.echo(f"{'':12}{'structures':>12}{'atoms':>10}{'elements':>10}{'with gap':>10}  file")
    everything = [row for rows in prepared.parts.values() for row in rows]
    for name, rows in prepared.parts.items():
        typer.echo(f"{name:12}{_numbers(rows)}  {prepared.path(name).name}")
    typer.echo(f"{'total':12}{_numbers(everything)}")
    axis = prepared.axis
    typer.echo(f"\nenergy axis     {axis.grid}, relative to the Fermi level")
    typer.echo(f"smearing        {axis.smearing:g} eV")
    typer.echo(f"largest shift   {axis.max_shift * axis.grid.step:g} eV ({axis.max_shift} channels)")
    grouped_by = prepared.split.grouped_by
    together = {"structure": "no groups (too few compounds)", "given": "as in the given split"}
    typer.echo(f"kept together   {together.get(grouped_by, f'structures of one {grouped_by}')}")
    typer.echo(f"also written    {_also_written(prepared, everything)}")
    codes = sorted({row.code for row in everything} - {""})
    if codes:
        typer.echo(f"DFT codes       {', '.join(codes)}")
    if len(codes) > 1:
        typer.echo("warning: energies from different codes have different zeros, and some codes may lack deep states")
    unknown = sum(row.has_unknown_smearing for row in everything)
    if unknown:
        typer.echo(f"smearing        unknown for {_structures(unknown)} given as a density of states")
    elements = {symbol for row in everything for symbol in row.identity.elements}
    undetermined = sorted(elements - set(axis.valence_electrons))
    if undetermined:
        typer.echo(f"valence         number of electrons not determined for {' '.join(undetermined)}")
    if prepared.num_missing_bands:
        number = _structures(prepared.num_missing_bands)
        typer.echo(f"missing bands   in {number}, not trusted up to the Fermi level")
    if prepared.split.validates_on_training_set:
        why = "too few structures to hold any out" if split else "no frame has the split 'validation'"
        typer.echo(f"warning: {why}; the training set is also the validation set")
    elif isinstance(split, tuple):
        _compare_shares(prepared, split)
    show_rejected(prepared.rejected, where=f" ({prepared.folder / 'report.csv'} lists all of them)")
    typer.echo(f"\nOverview:       {prepared.folder / 'summary.png'}")
    typer.echo(f"Train a model:  cd {prepared.folder} && mtt train options.yaml")


def _compare_shares(prepared: "PreparedDataset", shares: tuple[float, float, float]) -> None:
    train, *held_out = (len(rows) for rows in prepared.parts.values())
    wanted = (train + sum(held_out)) * sum(shares[1:]) / sum(shares)
    if sum(held_out) < _FEW_HELD_OUT * wanted:
        typer.echo(
            f"note: {_structures(sum(held_out))} held out instead of {wanted:.0f}, because each of their elements must "
            "occur in three other compounds of the training set"
        )


def _structures(number: int) -> str:
    return "1 structure" if number == 1 else f"{number} structures"


def _numbers(rows: "Sequence[Row]") -> str:
    atoms = sum(row.num_atoms for row in rows)
    elements = len({element for row in rows for element in row.identity.elements})
    gaps = [row.band_gap for row in rows if math.isfinite(row.band_gap)]
    with_gap = sum(gap > 0 for gap in gaps) if gaps else "unknown"
    return f"{len(rows):>12}{atoms:>10}{elements:>10}{with_gap:>10}"


def _also_written(prepared: "PreparedDataset", rows: "Sequence[Row]") -> str:
    from electrain.interface.quantities import quantity_of

    found = []
    for name in prepared.contents:
        plural, number = quantity_of(name).plural_label, sum(name in row.known for row in rows)
        found.append(plural if number == len(rows) else f"{plural} ({number} of {len(rows)} structures)")
    return ", ".join(found) or "no energies"
