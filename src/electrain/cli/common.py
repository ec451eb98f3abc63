"""What several commands share: options for models, one-line errors, and exit statuses.

The exit status is 0 for success, 2 for a command line that is wrong whatever the files contain, 1 for everything else
that fails, and 130 or 143 for a command that was stopped (see :mod:`~electrain.cli.stopping`).
"""

import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from electrain.calculators import ElectronicStructureModel, Failed, Predicted, SpectrumModel
    from electrain.data import Rejected

_NUM_SHOWN = 5  # of many
Result = TypeVar("Result")

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

Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="Exported model (.pt), from `mtt train` or `mtt export`, or the name of a model, see `electrain models`; "
        "default: the model that comes with electrain. Several (-m a.pt -m b.pt) are averaged, with their spread as "
        "uncertainty.",
        show_default=False,
    ),
]

Target = Annotated[
    str | None,
    typer.Option(
        "--target",
        metavar="NAME",
        help="Spectrum to predict, such as mtt::phonon_dos, with a model of several; default: mtt::dos if it is there.",
        show_default=False,
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
    """Print what went wrong and exit with status 1."""
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(1)


def usage(message: object) -> NoReturn:
    """Print what is wrong with the command line, whatever the files contain, and exit with status 2."""
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(2)


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


@contextmanager
def checking_usage() -> Iterator[None]:
    """Exit with status 2 for every ``ValueError``: for checks of options that no file can make right."""
    try:
        yield
    except ValueError as error:
        usage(error)


def chosen_model(model: str | None) -> str:
    """Return the model that was given, or the name of the one that comes with electrain, which is then printed."""
    from electrain.pretrained import default_name

    if model is not None:
        return model
    try:
        name = default_name()
    except FileNotFoundError as error:
        fail(error)
    # not to standard output, where the table may be read by a program
    typer.echo(f"model: {name}, which comes with electrain (`electrain models {name}` describes it)", err=True)
    return name


def chosen_models(models: list[str] | None) -> list[str]:
    """Return the models that were given, or as :func:`chosen_model`."""
    return models or [chosen_model(None)]


def files_of(models: list[str] | None) -> list[Path]:
    """Return the files of models that were given as paths, which no output may replace."""
    from electrain.pretrained import known_models

    known = known_models()
    return [Path(model) for model in models or [] if model not in known]


def open_models(
    models: list[str], device: str | None, matmul_precision: str, extensions: Path | None, target: str | None
) -> "ElectronicStructureModel | SpectrumModel":
    """Open a model for predictions, or several as an ensemble, with the options that all commands have for them."""
    from electrain.calculators import ElectronicStructureEnsemble, SpectrumModel, open_predictor
    from electrain.calculators.ensemble import check_files

    if len(models) > 1:
        with checking_usage():
            check_files(models)
    check_device(device, matmul_precision)
    show_unread_inputs()
    opened = [
        open_predictor(model, device, target=target, matmul_precision=matmul_precision, extensions_directory=extensions)
        for model in models
    ]
    if len(opened) == 1:
        return opened[0]
    members = []
    for one in opened:
        if isinstance(one, SpectrumModel):
            fail(f"only models of mtt::dos are averaged, but {one.name} is to predict {one.target}: give one model")
        members.append(one)
    return ElectronicStructureEnsemble(members, matmul_precision=matmul_precision)


def check_device(device: str | None, matmul_precision: str) -> None:
    """Exit unless device and precision are names that exist, whether or not this machine has the device."""
    import torch  # takes seconds

    from electrain.nn.precision import check_matmul_precision

    with checking_usage():
        check_matmul_precision(matmul_precision)
    try:
        torch.device(device or "cpu")
    except RuntimeError:
        usage(f"expected a device such as cpu, cuda or cuda:1, got {device!r}")


class Failures:
    """Structures that could not be computed: each is shown at once, and in the end how many there were."""

    def __init__(self) -> None:
        self.number = 0

    def leave_out(self, batch: "Iterable[Predicted[Result] | Failed]") -> "list[Predicted[Result]]":
        """Show what failed in a batch, and return the rest."""
        from electrain.calculators import Failed

        done = []
        for item in batch:
            if isinstance(item, Failed):
                self.number += 1
                typer.echo(f"error: {item.name}: {item.reason}", err=True)
            else:
                done.append(item)
        return done

    def end(self, num_done: int) -> None:
        """Exit with status 1 if any structure failed."""
        if self.number:
            fail(f"{self.number} of {num_done + self.number} could not be computed (see above)")


def show_rejected(rejected: "Sequence[Rejected]", *, where: str) -> None:
    """Show what was left out, and why."""
    if not rejected:
        return
    typer.echo(f"\n{len(rejected)} {'frame' if len(rejected) == 1 else 'frames'} left out{where}:")
    for frame in rejected[:_NUM_SHOWN]:
        typer.echo(f"  {frame.source}: {frame.reason}")
    if len(rejected) > _NUM_SHOWN:
        typer.echo(f"  ... and {len(rejected) - _NUM_SHOWN} more")


@contextmanager
def preparing() -> Iterator[None]:
    """End the command with a message if no data set can be written."""
    from electrain.data import NothingUsableError  # imports torch, which takes seconds
    from electrain.data.axis import SettingsError

    try:
        yield
    except NothingUsableError as error:
        typer.echo(f"error: {error}", err=True)
        show_rejected(error.rejected, where="")
        raise typer.Exit(1) from None
    except FileExistsError as error:
        fail(f"{error}; --overwrite replaces a data set")
    except SettingsError as error:
        usage(error)
    except (ValueError, OSError, ImportError) as error:
        fail(error)
