"""``electrain demo``: the whole way on packaged data."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from .common import fail


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", file_okay=False, help="Folder to write.")
    ] = Path("electrain-demo"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Delete an earlier demo in the folder first.")] = False,
) -> None:
    """Train a small model on packaged DFT data and compare it with calculations it has not seen.

    Takes a few minutes on a laptop: prepares a data set, runs `mtt train` and `mtt export`, prints band gaps, Fermi
    levels and errors of held-out structures and plots their densities of states.
    """
    from electrain.demo.run import run_demo  # imports torch, which takes seconds

    if output.exists() and any(output.iterdir()):
        if not (output / "data" / "manifest.json").exists():
            fail(f"expected a new or empty folder, but {output} has files and holds no earlier demo")
        if not overwrite:
            fail(f"expected a new or empty folder, but {output} has files; --overwrite deletes them")
        shutil.rmtree(output)
    output.mkdir(parents=True, exist_ok=True)
    try:
        run_demo(output, typer.echo)
    except RuntimeError as error:
        fail(error)
