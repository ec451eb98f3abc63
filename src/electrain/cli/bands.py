"""``electrain bands``: bands of crystals along their path of high symmetry."""

import math
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import BatchSize, Device, Extensions, Failures, MatmulPrecision, check_device, fail, files_of, usage
from .outputs import Overwrite, check_formats, check_outputs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from electrain.bands import BandStructure, EffectiveMass
    from electrain.calculators import Failed, Predicted, PredictedBands

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

    if dos is not None and plot is None:
        usage("--dos needs a figure; add --plot")
    check_formats(output, plot, window)
    models = [model, *([dos] if dos not in (None, _NONE) else [])]
    inputs = [*files_of(models), *(Path(path_of(source)) for source in structures)]
    check_outputs([output, plot], inputs, overwrite=overwrite)
    check_device(device, matmul_precision)
    from electrain.calculators import BandModel, screen  # imports torch, which takes seconds
    from electrain.pretrained import locate

    options: dict[str, Any] = {"matmul_precision": matmul_precision, "extensions_directory": extensions}
    failures = Failures()
    try:
        if dos not in (None, _NONE):
            locate(dos)  # before anything is computed
        predictor = BandModel(model, device, **options)
        found = chain.from_iterable(map(read_structures, structures))
        first, num_done = _show_all(screen(predictor, found, batch_size=batch_size), output, failures)
        beside = _density_of_states(first, dos, device, options) if plot is not None else None
    except BrokenPipeError:
        raise  # typer ends quietly when `| head` has seen enough
    except (ValueError, OSError, ImportError) as error:
        fail(error)
    typer.echo("\nGap, edges and masses are those along the path, masses in electron masses.")
    if output is not None:
        typer.echo(f"wrote {output}")
    if plot is not None:
        try:
            _save_plot(first, plot, window, beside)
        except (ValueError, OSError) as error:  # what was computed and written before is still valid
            fail(f"{plot} was not written: {error}")
        typer.echo(f"wrote {plot}{f', the first {_MAX_PANELS} crystals' if num_done > _MAX_PANELS else ''}")
    failures.end(num_done)


def _show_all(
    batches: "Iterable[list[Predicted[PredictedBands] | Failed]]", output: Path | None, failures: Failures
) -> "tuple[list[BandStructure], int]":
    """Print and write results as they come; return the first ones, for a figure, and the number of all."""
    from electrain.results.band_files import open_band_writer

    first: list[BandStructure] = []
    num_done = 0
    with ExitStack() as stack:
        writer = None if output is None else stack.enter_context(open_band_writer(output))
        for item in chain.from_iterable(map(failures.leave_out, batches)):
            _show(item.name, item.result)
            if writer is not None:
                writer.write(item.result.bands, item.name)
            num_done += 1
            first += [item.result.bands] * (len(first) < _MAX_PANELS)
        if num_done == 0:
            raise typer.Exit(1)  # inside the block, so that no file is left
    return first, num_done


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


def _density_of_states(
    crystals: "Sequence[BandStructure]", model: str | None, device: str | None, options: dict[str, Any]
) -> "tuple[NDArray, NDArray] | None":
    """Predict what stands beside the bands of a single crystal.

    :param crystals: those of the figure.
    :param model: file or name of a model; default: the one that comes with electrain.
    :param options: of the model.
    :return: energies in eV from the middle of the gap or the Fermi level, and states/eV; ``None`` for several crystals,
        and for one that the model that comes with electrain cannot compute.
    """
    from electrain.calculators import ElectronicStructureModel

    if len(crystals) > 1 or model == _NONE:
        return None
    try:
        predictor = ElectronicStructureModel(model, device, **options)
        result = predictor.predict(crystals[0].atoms)
        if not result.relative_to_fermi_level:
            raise ValueError(f"{predictor.name} predicts no Fermi level")
    except ValueError as error:
        if model is not None:
            raise
        typer.echo(f"note: no density of states beside the bands: {error}", err=True)
        return None
    typer.echo(f"\ndensity of states beside the bands: {predictor.name}", err=True)
    return result.energies, result.density_of_states


def _save_plot(
    crystals: "Sequence[BandStructure]",
    path: Path,
    window: tuple[float, float] | None,
    beside: "tuple[NDArray, NDArray] | None",
) -> None:
    from electrain.files.replacing import replacing
    from electrain.plots.bands import plot_bands, plot_several
    from electrain.plots.style import save_figure

    if len(crystals) == 1:
        figure = plot_bands(crystals[0], density_of_states=beside, window=window)
    else:
        figure = plot_several(crystals, window=window)
    with replacing(path) as temporary:
        save_figure(figure, temporary)
