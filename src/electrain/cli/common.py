"""What several commands share: options of models, and errors as one line."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

Device = Annotated[
    str | None, typer.Option(metavar="NAME", help="Such as cpu or cuda; by default the best that there is.")
]
BatchSize = Annotated[
    int, typer.Option(min=1, metavar="ATOMS", help="Atoms computed together; fewer need less memory.")
]
MatmulPrecision = Annotated[
    str,
    typer.Option(metavar="NAME", help="highest, or faster: high (TensorFloat-32 on GPUs), medium (bfloat16)."),
]


def fail(message: object) -> NoReturn:
    """Say what is wrong, and end with exit status 1."""
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(1)


def check_figure(path: Path) -> None:
    """Raise a ``ValueError`` if no figure can be written there: before hours of work, not after them."""
    from electrain.plots.style import check_figure_path

    check_figure_path(path)
    check_folder(path)


def check_folder(path: Path) -> None:
    """Raise a ``ValueError`` if the folder of a file to write is missing."""
    if not path.parent.is_dir():
        raise ValueError(f"cannot write {path}: there is no folder {path.parent}")
