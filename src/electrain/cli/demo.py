"""``electrain demo``: the complete workflow on data that come with the package."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from .common import fail

_MARKER = ".electrain-demo"  # in folders that may be deleted


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", file_okay=False, help="Folder to write to.")
    ] = Path("electrain-demo"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="First delete an earlier demo in the folder.")] = False,
) -> None:
    """Train a small model on DFT data that come with the package and compare it with calculations it has not seen.

    This takes a few minutes on a laptop. It prepares a data set, runs `mtt train` and `mtt export`, prints band gaps,
    Fermi levels and errors for held-out structures, and plots their densities of states.
    """
    if output.exists() and any(output.iterdir()):
        if not (output / _MARKER).exists():
            fail(f"expected a new or empty folder, but {output} contains files that are not from an earlier demo")
        if not overwrite:
            fail(
                f"expected a new or empty folder, but {output} contains an earlier demo; --overwrite deletes "
                "everything in it"
            )
        shutil.rmtree(output)
    from electrain.demo.run import run_demo  # imports torch, which takes seconds

    try:
        output.mkdir(parents=True, exist_ok=True)
        (output / _MARKER).touch()
        run_demo(output, typer.echo)
    except (RuntimeError, ValueError, OSError) as error:
        fail(error)
