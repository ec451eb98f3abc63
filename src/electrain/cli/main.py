"""The ``electrain`` command and its subcommands."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from electrain import __version__

from .bands import bands
from .common import fail
from .convert import convert
from .demo import demo
from .dos import dos
from .evaluate import evaluate
from .hot import hot
from .models import models
from .prepare import prepare
from .stopping import exit_status, stopped_by_signals
from .thermo import thermo

_RESUMABLE = ("prepare", "evaluate")


class _Commands(TyperGroup):
    """All commands end in the same way when they are stopped, or cannot even write to the terminal."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            with stopped_by_signals():
                return super().invoke(ctx)
        except KeyboardInterrupt as error:
            can_continue = ctx.invoked_subcommand in _RESUMABLE
            typer.echo(f"\nstopped{'; run the same command to continue' if can_continue else ''}", err=True)
            raise typer.Exit(exit_status(error)) from None
        except BrokenPipeError:
            raise  # typer ends quietly when `| head` has seen enough
        except OSError as error:  # commands report all others themselves
            fail(error if error.filename else f"cannot write to standard output: {error.strerror or error}")


app = typer.Typer(cls=_Commands, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="markdown")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"electrain {__version__}")
        raise typer.Exit()


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Electronic structure of molecules and materials with machine learning."""


app.command()(prepare)
app.command()(dos)
app.command()(bands)
app.command()(evaluate)
app.command()(thermo)
app.command()(hot)
app.command()(demo)
app.command()(convert)
app.command()(models)
