"""``electrain prepare --bands``: data sets of bands along paths of k-points."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .common import preparing, show_rejected

if TYPE_CHECKING:
    from electrain.data.bands import LearnedBands, PreparedBands


def prepare_and_show(sources: Sequence[Path], output: Path, **settings: Any) -> None:
    """Make the data set, and show what is in it.

    :param sources: files or folders.
    :param output: folder to write to.
    :param settings: see :func:`electrain.data.bands.prepare_bands`.
    """
    from electrain.data.bands import prepare_bands  # imports torch, which takes seconds

    with preparing():
        prepared = prepare_bands(sources, output, **settings)
    _show_summary(prepared)
    show_rejected(prepared.rejected, where=f" ({prepared.folder / 'report.csv'} lists all of them)")
    typer.echo(f"\nOverview:       {prepared.folder / 'summary.png'}")
    typer.echo(f"Train a model:  cd {prepared.folder} && mtt train options.yaml")


def _show_summary(prepared: "PreparedBands") -> None:
    from electrain.data.writing import part_name

    typer.echo(f"{'':12}{'structures':>12}{'atoms':>10}{'elements':>10}{'with gap':>10}  file")
    for name, learned in prepared.parts.items():
        typer.echo(f"{name:12}{_numbers(learned)}  {part_name(name, prepared.form)}")
    typer.echo(f"{'total':12}{_numbers(prepared.everything)}")
    num_bands, num_k_points = prepared.shape
    half = num_bands // 2
    typer.echo(f"\ntarget          {half} bands up to the highest filled one and {half} above, in eV")
    typer.echo(f"path            {num_k_points} k-points")
    if prepared.num_other_cells:
        typer.echo(
            f"warning: the cells of {prepared.num_other_cells} of {len(prepared.everything)} structures are not the "
            "standardised primitive ones, so that their k-points mean something else (column `cell` of structures.csv)"
        )
    if prepared.num_unknown_cells:
        typer.echo(
            "note: whether cells are the standardised primitive ones is not known without pymatgen: pip install "
            "electrain[pymatgen]"
        )
    if prepared.num_unused:
        typer.echo(f"not used        {prepared.num_unused} structures that are in none of the index files")
    if prepared.split.validates_on_training_set:
        typer.echo("warning: no structure was held out; the training set is also the validation set")


def _numbers(learned: "Sequence[LearnedBands]") -> str:
    atoms = sum(len(one.atoms) for one in learned)
    elements = len({symbol for one in learned for symbol in one.atoms.get_chemical_symbols()})
    return f"{len(learned):>12}{atoms:>10}{elements:>10}{sum(one.gap > 0 for one in learned):>10}"
