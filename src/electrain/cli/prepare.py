"""``electrain prepare``: DFT calculations to a data set for training."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..data import PreparedDataset, Rejected

_NUM_SHOWN = 5


def prepare(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...",
            exists=True,
            dir_okay=False,
            help="Extended XYZ files (also .xz, .gz) with 'eigenvalues' and 'kweights'.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", file_okay=False, help="Folder to write.")],
    smearing: Annotated[float, typer.Option(help="Standard deviation of the Gaussians, in eV.")] = 0.3,
    step: Annotated[float, typer.Option(help="Distance between two channels, in eV.")] = 0.05,
    max_shift: Annotated[
        float, typer.Option(help="How far a prediction may be shifted to fit its target, in eV.")
    ] = 10.0,
    split: Annotated[str, typer.Option(help="Shares of training:validation:test set.")] = "8:1:1",
    seed: Annotated[int, typer.Option(help="Seed of the split.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a data set in the folder.")] = False,
) -> None:
    """Turn DFT calculations into a data set with densities of states, band gaps and Fermi levels.

    Writes train.zip, validation.zip, test.zip, options.yaml (for `mtt train options.yaml`), manifest.json and
    report.txt, which lists the frames that were left out and why.
    """
    from ..data import NothingUsableError, prepare_dataset  # imports torch, which takes seconds

    try:
        prepared = prepare_dataset(
            sources,
            output,
            smearing=smearing,
            step=step,
            max_shift=max_shift,
            shares=_shares(split),
            seed=seed,
            overwrite=overwrite,
            progress=True,
        )
    except NothingUsableError as error:
        typer.echo(f"error: {error}", err=True)
        _show_rejected(error.rejected, where="")
        raise typer.Exit(1) from None
    except FileExistsError as error:
        typer.echo(f"error: {error}; --overwrite replaces a data set", err=True)
        raise typer.Exit(1) from None
    except (ValueError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    _show_summary(prepared)


def _shares(text: str) -> tuple[float, float, float]:
    try:
        train, validation, test = (float(share) for share in text.split(":"))
    except ValueError:
        raise typer.BadParameter(f"expected three numbers such as 8:1:1, got {text!r}", param_hint="--split") from None
    return train, validation, test


def _show_summary(prepared: "PreparedDataset") -> None:
    from ..data.targets import band_gap

    typer.echo(f"{'':12}{'structures':>12}{'atoms':>8}{'elements':>10}{'with gap':>10}")
    everything = [calculation for part in prepared.parts.values() for calculation in part]
    for name, part in {**prepared.parts, "total": everything}.items():
        atoms = sum(len(calculation.atoms) for calculation in part)
        elements = len({symbol for calculation in part for symbol in calculation.atoms.symbols})
        gapped = sum(band_gap(calculation) > 0 for calculation in part)
        typer.echo(f"{name:12}{len(part):>12}{atoms:>8}{elements:>10}{gapped:>10}")
    axis = prepared.axis
    typer.echo(f"\nenergy axis     {axis.grid}, relative to the Fermi level")
    typer.echo(f"smearing        {axis.smearing:g} eV")
    typer.echo(f"largest shift   {axis.max_shift * axis.grid.step:g} eV ({axis.max_shift} channels)")
    typer.echo(f"kept together   structures of one {prepared.split.grouped_by}")
    content = "energies and forces" if prepared.has_forces else "energies" if prepared.has_energy else "no energies"
    typer.echo(f"also written    {content}")
    _show_rejected(prepared.rejected, where=" (report.txt lists all of them)")
    typer.echo(f"\nTrain a model:  cd {prepared.folder} && mtt train options.yaml")


def _show_rejected(rejected: "list[Rejected]", *, where: str) -> None:
    if not rejected:
        return
    typer.echo(f"\n{len(rejected)} frames left out{where}:")
    for frame in rejected[:_NUM_SHOWN]:
        typer.echo(f"  {frame.source}: {frame.reason}")
    if len(rejected) > _NUM_SHOWN:
        typer.echo(f"  ... and {len(rejected) - _NUM_SHOWN} more")
