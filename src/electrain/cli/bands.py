"""``electrain bands``: bands of crystals along their path of high symmetry."""

import math
from collections.abc import Iterable
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .common import BatchSize, Device, Extensions, MatmulPrecision, check_device, checking_usage, fail, files_of, usage
from .outputs import Overwrite, check_figure, check_outputs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from electrain.bands import BandStructure, EffectiveMass
    from electrain.calculators import ElectronicStructureModel, Failed, Predicted, PredictedBands

_NONE = "none"
_MAX_PANELS = 6


def bands(
    structures: Annotated[
        list[str],
        typer.Argument(
            metavar="STRUCTURE",
            help="Files of crystals in any format that ASE reads; 'relaxation.xyz@-1' selects a frame.",
        ),
    ],
    model: Annotated[
        str, typer.Option("--model", "-m", metavar="MODEL", help="Exported model of bands (.pt), such as a bandformer.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="File for the bands: .json or .csv.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", "-p", metavar="FILE", help=f"Figure: .png, .pdf, .svg...; of the first {_MAX_PANELS} crystals."
        ),
    ] = None,
    dos: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Model of the density of states that a figure of one crystal shows beside the bands, or none; "
            "default: the model that comes with electrain.",
            show_default=False,
        ),
    ] = None,
    window: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="LOW HIGH", help="Energies to plot, in eV from the middle of the gap or the Fermi level."),
    ] = None,
    overwrite: Overwrite = False,
    device: Device = None,
    batch_size: BatchSize = 256,
    matmul_precision: MatmulPrecision = "highest",
    extensions: Extensions = None,
) -> None:
    """Predict bands, band gap and effective masses of crystals along their path of high symmetry.

    Each crystal is brought into its standardised primitive cell, to which the path belongs. Structures that cannot be
    computed are reported, and the others are still computed; the exit status is then 1.

    Example:  electrain bands silicon.cif -m bands.pt --plot silicon.png -o silicon.json
    """
    from electrain.structures.files import path_of, read_structures

    _check_options(output, plot, dos, window)
    models = [model, *([dos] if dos not in (None, _NONE) else [])]
    inputs = [*files_of(models), *(Path(path_of(source)) for source in structures)]
    check_outputs([output, plot], inputs, overwrite=overwrite)
    check_device(device, matmul_precision)
    from electrain.calculators import BandModel, ElectronicStructureModel, screen  # imports torch, which takes seconds

    try:
        predictor = BandModel(model, device, matmul_precision=matmul_precision, extensions_directory=extensions)
        beside = None
        if plot is not None and dos != _NONE:
            beside = ElectronicStructureModel(
                dos, device, matmul_precision=matmul_precision, extensions_directory=extensions
            )
        found = chain.from_iterable(map(read_structures, structures))
        done, num_failed = _show_all(screen(predictor, found, batch_size=batch_size), output)
    except BrokenPipeError:
        raise  # typer ends quietly when `| head` has seen enough
    except (ValueError, OSError, ImportError) as error:
        fail(error)
    typer.echo("\nGap, edges and masses are those along the path, masses in electron masses.")
    if output is not None:
        typer.echo(f"wrote {output}")
    if plot is not None:
        try:
            _save_plot(done, plot, window, beside)
        except (ValueError, OSError) as error:  # what was computed and written before is still valid
            fail(f"{plot} was not written: {error}")
        beyond = f", the first {_MAX_PANELS} crystals" if len(done) > _MAX_PANELS else ""
        typer.echo(f"wrote {plot}{beyond}")
    if num_failed:
        fail(f"{num_failed} of {num_failed + len(done)} could not be computed (see above)")


def _check_options(output: Path | None, plot: Path | None, dos: str | None, window: tuple[float, float] | None) -> None:
    from electrain.results.files import check_path

    for option, is_given in (("--window", window is not None), ("--dos", dos is not None)):
        if is_given and plot is None:
            usage(f"{option} needs a figure; add --plot")
    if window is not None and not -math.inf < window[0] < window[1] < math.inf:
        usage(f"expected a window from a lower to a higher energy, got {window[0]:g} to {window[1]:g} eV")
    if output is not None:
        with checking_usage():
            check_path(output)
    if plot is not None:
        check_figure(plot)


def _show_all(
    batches: "Iterable[list[Predicted[PredictedBands] | Failed]]", output: Path | None
) -> "tuple[list[Predicted[PredictedBands]], int]":
    """Print and write results as they come; return them, and how many structures failed."""
    from electrain.calculators import Failed
    from electrain.results.band_files import open_band_writer

    done: list[Predicted[PredictedBands]] = []
    num_failed = 0
    with ExitStack() as stack:
        writer = None if output is None else stack.enter_context(open_band_writer(output))
        for item in chain.from_iterable(batches):
            if isinstance(item, Failed):
                num_failed += 1
                typer.echo(f"error: {item.name}: {item.reason}", err=True)
                continue
            _show(item.name, item.result)
            if writer is not None:
                writer.write(item.result.bands, item.name)
            done.append(item)
        if not done:
            raise typer.Exit(1)  # inside the block, so that no file is left
    return done, num_failed


def _show(name: str, result: "PredictedBands") -> None:
    from electrain.bands import band_gap, effective_masses

    found = result.bands
    typer.echo(f"{name}: {found.atoms.get_chemical_formula(mode='metal')}")
    if result.changes:
        typer.echo(f"  cell                     {result.changes}")
    points = [point for index, point in found.labels]
    typer.echo(f"  path                     {'-'.join(points)}")
    gap = band_gap(found)
    if gap is None:
        typer.echo("  metal                    bands cross the Fermi level")
        return
    kind = (
        "direct" if gap.is_direct else f"indirect; the smallest direct one is {gap.direct:.2f} eV at {gap.direct_where}"
    )
    typer.echo(f"  band gap                 {gap.energy:.2f} eV, {kind}")
    typer.echo(f"  valence band maximum     at {gap.valence.where}")
    typer.echo(f"  conduction band minimum  at {gap.conduction.where}")
    for mass in effective_masses(found):
        typer.echo(f"  {mass.carrier + ' mass':<24} {_mass(mass)}")


def _mass(mass: "EffectiveMass") -> str:
    if not math.isfinite(mass.mass):
        return f"infinite (flat) along {mass.direction}"
    spread = f" ± {mass.uncertainty:.2f}" if math.isfinite(mass.uncertainty) else ""
    return f"{mass.mass:.2f}{spread} along {mass.direction}"


def _save_plot(
    done: "list[Predicted[PredictedBands]]",
    path: Path,
    window: tuple[float, float] | None,
    beside: "ElectronicStructureModel | None",
) -> None:
    from electrain.files.replacing import replacing
    from electrain.plots.bands import plot_bands, plot_several
    from electrain.plots.style import save_figure

    shown = [item.result.bands for item in done[:_MAX_PANELS]]
    if len(shown) == 1:
        figure = plot_bands(shown[0], density_of_states=_density_of_states(shown[0], beside), window=window)
    else:
        figure = plot_several(shown, window=window)
    with replacing(path) as temporary:
        save_figure(figure, temporary)


def _density_of_states(
    found: "BandStructure", model: "ElectronicStructureModel | None"
) -> "tuple[NDArray, NDArray] | None":
    """Energies from the middle of the gap or the Fermi level in eV, and states/eV; ``None`` if it is unknown."""
    if model is None:
        return None
    try:
        result = model.predict(found.atoms)
    except ValueError as error:
        typer.echo(f"note: no density of states beside the bands: {error}", err=True)
        return None
    if not result.relative_to_fermi_level:
        typer.echo(f"note: no density of states beside the bands: {model.name} predicts no Fermi level", err=True)
        return None
    return result.energies, result.density_of_states
