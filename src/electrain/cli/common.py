"""What several commands share: options for models, and one-line errors."""

import sys
import warnings
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

Device = Annotated[str | None, typer.Option(metavar="NAME", help="cpu, cuda, ...; default: the best available device.")]
BatchSize = Annotated[
    int, typer.Option(min=1, metavar="ATOMS", help="Maximum number of atoms per batch; lower it to save memory.")
]
MatmulPrecision = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="highest, or, faster but less precise, high (TensorFloat-32 on GPUs) or medium (bfloat16)."
    ),
]

Extensions = Annotated[
    Path | None,
    typer.Option(
        "--extensions",
        metavar="DIR",
        help="Folder with the compiled libraries that a model from elsewhere needs. They are programs: only if you "
        "trust them.",
    ),
]


def fail(message: object) -> NoReturn:
    """Print what is wrong and exit with status 1."""
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(1)


def show_unread_inputs() -> None:
    """Print, as one line, that a model does not read the charge or spin of a structure."""
    from tqdm import tqdm

    from electrain.calculators import UnreadInputWarning

    show = warnings.showwarning

    def show_as_note(message: Warning | str, category: type[Warning], *place: Any) -> None:
        if issubclass(category, UnreadInputWarning):
            tqdm.write(f"note: {message}", file=sys.stderr)  # above the progress bar
        else:
            show(message, category, *place)

    warnings.filterwarnings("always", category=UnreadInputWarning)
    warnings.showwarning = show_as_note  # type: ignore[assignment]


def check_figure(path: Path) -> None:
    """Raise a ``ValueError`` if no figure can be written there: before hours of computation, not after."""
    from electrain.plots.style import check_figure_path

    check_figure_path(path)
    check_folder(path)


def check_folder(path: Path) -> None:
    """Raise a ``ValueError`` if the folder of a file to be written does not exist."""
    if not path.parent.is_dir():
        raise ValueError(f"cannot write {path}: the folder {path.parent} does not exist")
