"""The rule for all files that a command writes: never an input, and nothing that exists unless it is asked for."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from .common import checking_usage, fail, usage

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace output files that exist.")]


def check_outputs(outputs: Iterable[Path | None], inputs: Iterable[Path | None], *, overwrite: bool) -> None:
    """Exit unless all outputs can be written, before anything is computed.

    :param outputs: files that the command writes; ``None`` for those that were not requested.
    :param inputs: files that it reads. An output may not be one of them, also not under another name (through links).
    :param overwrite: whether outputs may replace files that exist.
    """
    wanted = [path for path in outputs if path is not None]
    if overwrite and not wanted:
        usage("--overwrite needs an output file to replace; add one, or leave it out")
    given = [path for path in inputs if path is not None and path.exists()]
    for number, path in enumerate(wanted):
        if path.is_dir():
            fail(f"cannot write {path}: it is a folder")
        if not path.parent.is_dir():
            fail(f"cannot write {path}: the folder {path.parent} does not exist")
        if any(_is_same(path, other) for other in wanted[:number]):
            usage(f"expected different files for different outputs, got {path} twice")
        for other in given:
            if _is_same(path, other):
                fail(f"cannot write {path}: it is an input ({other}); choose another name")
        if not overwrite and (path.exists() or path.is_symlink()):
            fail(f"{path} exists; choose another name, or add --overwrite to replace it")


def check_formats(output: Path | None, plot: Path | None, window: tuple[float, float] | None) -> None:
    """Exit unless the names of a file of results and of a figure have known endings, and the window is one.

    :param output: file of results.
    :param plot: figure.
    :param window: energies to plot, which needs a figure.
    """
    from electrain.results.files import check_path

    if window is not None and plot is None:
        usage("--window needs a figure; add --plot")
    if window is not None and not -math.inf < window[0] < window[1] < math.inf:
        usage(f"expected a window from a lower to a higher energy, got {window[0]:g} to {window[1]:g} eV")
    if output is not None:
        with checking_usage():
            check_path(output)
    if plot is not None:
        check_figure(plot)


def check_figure(path: Path) -> None:
    """Exit unless the name of a figure ends with a format that matplotlib can write."""
    from electrain.plots.style import check_figure_path

    try:
        check_figure_path(path)
    except ValueError as error:
        usage(error)


def _is_same(path: Path, other: Path) -> bool:
    if path.exists() and other.exists():
        return path.samefile(other)
    return path.resolve() == other.resolve()
