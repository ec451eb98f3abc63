"""``electrain thermo``: thermodynamics of electrons or phonons at several temperatures."""

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .common import (
    BatchSize,
    Device,
    Extensions,
    MatmulPrecision,
    Models,
    Target,
    checking_usage,
    chosen_models,
    fail,
    files_of,
    open_models,
)
from .outputs import Overwrite, check_figure, check_outputs
from .phonon_thermo import phonon_thermo
from .temperatures import read_temperatures

if TYPE_CHECKING:
    from electrain.calculators import ElectronicStructureModel
    from electrain.thermodynamics.average import EnsembleAverage, Thermodynamics

_DEFAULT_TEMPERATURES = [300.0 + 100.0 * index for index in range(18)]


def thermo(
    trajectories: Annotated[
        list[str],
        typer.Argument(
            metavar="TRAJECTORY",
            help="Files that ASE can read; 'md.xyz@1000::10' selects frames. Of electrons, all frames are averaged "
            "together; of phonons, each is a structure of its own.",
        ),
    ],
    models: Models = None,
    target: Target = None,
    temperatures: Annotated[
        str | None,
        typer.Option(
            "--temperatures",
            "-T",
            metavar="KELVIN",
            help="Temperatures in kelvin: FIRST:LAST:STEP, or comma-separated; default: 300:2000:100 for electrons, "
            "0:1000:100 for phonons.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="File for the results: .json, or .csv (plus _dos.csv)."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", "-p", metavar="FILE", help="Figure: .png, .pdf, .svg...")
    ] = None,
    per_electron: Annotated[
        bool, typer.Option("--per-electron", help="Electrons: table and figure per electron instead of per atom.")
    ] = False,
    overwrite: Overwrite = False,
    device: Device = None,
    batch_size: BatchSize = 256,
    matmul_precision: MatmulPrecision = "highest",
    extensions: Extensions = None,
) -> None:
    """Thermodynamics of electrons or phonons, depending on what the model predicts.

    **Electrons** (a model of the density of states and the Fermi level): the frames of a trajectory are aligned at
    their Fermi levels and averaged; statistical errors come from block averages. The table lists the Fermi level,
    energy, entropy, free energy and heat capacity of the electrons, all relative to their ground state. The heat
    capacity is also computed from the energies at two temperatures 1 K apart; the two should agree. The same density
    of states is used at all temperatures: if the motion of the atoms matters, run each temperature with its own
    trajectory.

    **Phonons** (a model of phonon densities of states): heat capacity, entropy, energy and free energy of each
    structure in the harmonic approximation at its volume, with the spectrum scaled to three modes per atom.

    Example:  electrain thermo md.xyz --temperatures 300:2000:100 --plot thermo.png -o thermo.csv

    Example:  electrain thermo si.cif -m phonons.pt --temperatures 0:1000:10 --plot thermo.png -o thermo.csv
    """
    from electrain.structures.files import path_of

    inputs = [*files_of(models), *(Path(path_of(source)) for source in trajectories)]
    _check_files(output, plot, inputs, overwrite=overwrite)
    with checking_usage():
        kelvin = None if temperatures is None else read_temperatures(temperatures)
    chosen = chosen_models(models)
    from electrain.calculators import SpectrumModel  # imports torch, which takes seconds

    try:
        predictor = open_models(chosen, device, matmul_precision, extensions, target)
        if isinstance(predictor, SpectrumModel):
            if per_electron:
                fail(f"--per-electron is for electrons, but {predictor.name} predicts {predictor.target}: leave it out")
            phonon_thermo(predictor, trajectories, kelvin, output, plot, batch_size)
        else:
            _electron_thermo(predictor, trajectories, kelvin, output, plot, batch_size, per_electron=per_electron)
    except (ValueError, OSError) as error:
        fail(str(error))


def _electron_thermo(
    predictor: "ElectronicStructureModel",
    trajectories: list[str],
    temperatures: list[float] | None,
    output: Path | None,
    plot: Path | None,
    batch_size: int,
    *,
    per_electron: bool,
) -> None:
    import numpy as np

    from electrain.thermodynamics.average import EnsembleAverage, check_temperatures

    kelvin = _DEFAULT_TEMPERATURES if temperatures is None else temperatures
    with checking_usage():
        check_temperatures(np.array(kelvin))
    if not predictor.predicts_fermi_level:
        fail(
            f"{predictor.name} predicts no Fermi level: expected a model trained on it, because frames are aligned "
            "at it"
        )
    average = EnsembleAverage()
    expected_electrons = _add_frames(average, predictor, trajectories, batch_size, max(kelvin))
    result = average.thermodynamics(kelvin)
    _show(result, expected_electrons, per_electron=per_electron)
    _write(result, output, plot, per_electron=per_electron)


def _add_frames(
    average: "EnsembleAverage",
    predictor: "ElectronicStructureModel",
    sources: list[str],
    batch_size: int,
    highest_temperature: float,
) -> float | None:
    """Average all frames; return the number of valence electrons of one frame, if the model knows it."""
    from tqdm import tqdm

    from electrain.calculators import Failed, screen
    from electrain.structures.files import read_structures

    expected_electrons = None
    frames = chain.from_iterable(map(read_structures, sources))
    # disable=None: no bar unless the output is a terminal
    with tqdm(unit=" frames", delay=2, disable=None, leave=False) as bar:
        for frame in chain.from_iterable(screen(predictor, frames, batch_size=batch_size)):
            if isinstance(frame, Failed):  # a mean must not leave out some of them silently
                raise ValueError(f"{frame.name}: {frame.reason}")
            expected_electrons = predictor.num_valence_electrons(frame.result.atoms)
            try:
                average.add(frame.result)
            except ValueError as error:
                raise ValueError(f"{frame.name}: {error}") from None
            if average.num_frames == 1:
                average.thermodynamics(highest_temperature)  # too hot for the axis: known now, not after hours
            bar.update()
    return expected_electrons


def _show(result: "Thermodynamics", expected_electrons: float | None, *, per_electron: bool) -> None:
    from electrain.results.electronic_structure import miscounts
    from electrain.thermodynamics.files import table

    blocks, number = result.blocks, len(result.blocks.means)
    frames = "1 frame" if result.num_frames == 1 else f"{result.num_frames} frames"
    expected = ""
    if expected_electrons is not None:
        expected = f" ({expected_electrons / result.num_atoms:.3f} in the model's training data)"
    typer.echo(
        f"{result.formula}: {frames}, {result.num_electrons / result.num_atoms:.3f} electrons per atom up to the "
        f"Fermi level{expected}\n"
    )
    if expected_electrons is not None and miscounts(result.num_electrons, expected_electrons):
        typer.echo(
            "note: the numbers of electrons differ: the density of states and the Fermi level are inconsistent\n"
        )
    typer.echo(table(result, per_electron=per_electron))
    typer.echo("\nFermi level: relative to that of cold electrons. Energies and entropy: relative to the ground state.")
    has_model = result.heat_capacity.model_uncertainty is not None
    if number > 1:
        in_each = "1 frame" if blocks.length == 1 else f"{blocks.length} frames"
        typer.echo(f"{'First ' if has_model else ''}±: statistical error, from {number} blocks of {in_each} each.")
    if has_model:
        typer.echo(f"{'Second ' if number > 1 else ''}±: uncertainty of the model, from its ensemble.")
    if number < 2:
        typer.echo("No statistical errors: they need at least two frames.")
    elif blocks.are_independent is None:
        typer.echo(
            f"note: {number} blocks are too few to tell whether frames are correlated; if so, errors are too small"
        )
    elif not blocks.are_independent:
        typer.echo(
            "note: the longest blocks are still correlated, so statistical errors are too small; simulate longer"
        )


def _write(result: "Thermodynamics", output: Path | None, plot: Path | None, *, per_electron: bool) -> None:
    from electrain.files.replacing import replacing
    from electrain.plots.style import save_figure
    from electrain.thermodynamics.figure import plot_thermodynamics
    from electrain.thermodynamics.files import write

    for path in [] if output is None else write(result, output):
        typer.echo(f"wrote {path}")
    if plot is not None:
        with replacing(plot) as temporary:
            save_figure(plot_thermodynamics(result, per_electron=per_electron), temporary)
        typer.echo(f"wrote {plot}")


def _check_files(output: Path | None, plot: Path | None, inputs: list[Path], *, overwrite: bool) -> None:
    """Before hours of computation."""
    from electrain.thermodynamics.files import files_of

    with checking_usage():
        files = [] if output is None else files_of(output)
    if plot is not None:
        check_figure(plot)
    check_outputs([*files, plot], inputs, overwrite=overwrite)
