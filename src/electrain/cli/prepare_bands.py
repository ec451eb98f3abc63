"""``electrain prepare --bands``: data sets of bands along paths of k-points."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from .common import preparing
from .prepared import show_parts, show_rest


def prepare_and_show(sources: Sequence[Path], output: Path, **settings: Any) -> None:
    """Make the data set, and show what is in it.

    :param sources: files or folders.
    :param output: folder to write to.
    :param settings: see :func:`electrain.data.bands.prepare_bands`.
    """
    from electrain.data.bands import prepare_bands  # imports torch, which takes seconds

    with preparing():
        prepared = prepare_bands(sources, output, **settings, progress=True)
    show_parts(prepared, {f"{'with gap':>10}": lambda learned: sum(one.gap > 0 for one in learned)})
    num_bands, num_k_points = prepared.shape
    half = num_bands // 2
    typer.echo(f"target          {half} bands up to the highest filled one and {half} above, in eV")
    typer.echo(f"path            {num_k_points} k-points")
    if settings["meshes"]:
        of_each = f", with {num_k_points} of their k-points each" if prepared.num_meshes else ""
        typer.echo(f"meshes          {prepared.num_meshes or 'none'} of the training structures{of_each}")
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
    show_rest(prepared)
