"""``electrain dos``: density of states, band gap and Fermi level of structures."""

import math
from collections.abc import Callable, Iterable
from contextlib import ExitStack
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
    chosen_models,
    fail,
    files_of,
    open_models,
    usage,
)
from .outputs import Overwrite, check_formats, check_outputs
from .spectrum_dos import MAX_PANELS, spectrum_dos

if TYPE_CHECKING:
    from ase import Atoms

    from electrain.calculators import ElectronicStructureModel, Failed, Predicted
    from electrain.results.electronic_structure import ElectronicStructure

_WITH_FERMI_LEVEL = "Fermi level: on the model's own energy axis. Electrons: number of electrons below it."
_WITHOUT_FERMI_LEVEL = "The model predicts no Fermi level, so energies are on its own axis, whose zero has no meaning."

_CALIBRATED = "±: one standard deviation, calibrated on structures that the model was not trained on."


def dos(
    structures: Annotated[
        list[str],
        typer.Argument(
            metavar="STRUCTURE",
            help="Structure files in any format that ASE reads; 'md.xyz@0:50' selects frames.",
        ),
    ],
    models: Models = None,
    target: Target = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="File for the spectra: .json or .csv.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", "-p", metavar="FILE", help=f"Figure: .png, .pdf, .svg...; of the first {MAX_PANELS} structures."
        ),
    ] = None,
    per_atom: Annotated[
        bool,
        typer.Option("--per-atom", help="Also write the contribution of each atom, and plot that of each element."),
    ] = False,
    window: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LOW HIGH",
            help="Part to plot: energies in eV from the Fermi level, by default -15 8; of a fixed axis in its unit, by "
            "default all.",
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            "--temperature",
            "-T",
            min=0.0,
            metavar="K",
            help="Also show the electronic heat capacity at this temperature.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    device: Device = None,
    batch_size: BatchSize = 256,
    matmul_precision: MatmulPrecision = "highest",
    extensions: Extensions = None,
) -> None:
    """Predict density of states, band gap and Fermi level of one structure or thousands of structures.

    Prints a table. Energies in files and plots are relative to the Fermi level. Structures that cannot be computed are
    reported, and the others are still computed; the exit status is then 1.

    With a model of phonons, or of electrons on a fixed axis, these are its spectra, in the unit of their axis.

    Example:  electrain dos silicon.cif --plot silicon.png -o silicon.json
    """
    from electrain.structures.files import path_of, read_structures

    _check_options(per_atom=per_atom, output=output, plot=plot, window=window, temperature=temperature)
    inputs = [*files_of(models), *(Path(path_of(source)) for source in structures)]
    check_outputs([output, plot], inputs, overwrite=overwrite)
    chosen = chosen_models(models)
    from electrain.calculators import SpectrumModel, screen  # imports torch, which takes seconds

    try:
        predictor = open_models(chosen, device, matmul_precision, extensions, target)
        if isinstance(predictor, SpectrumModel):
            for option, is_given in (("--per-atom", per_atom), ("--temperature", temperature is not None)):
                if is_given:
                    fail(f"{option} is for models of mtt::dos, but {predictor.name} is to predict {predictor.target}")
            spectrum_dos(predictor, structures, output, plot, window, batch_size)
            return
        if temperature is not None and not predictor.predicts_fermi_level:
            fail(f"--temperature needs a model with a Fermi level, but {predictor.name} predicts none")
        report = _Report(
            has_fermi_level=predictor.predicts_fermi_level,
            uncertainty=_meaning_of_uncertainty(predictor, len(chosen)),
            temperature=temperature,
            expected_electrons=predictor.num_valence_electrons,
        )
        found = chain.from_iterable(map(read_structures, structures))
        batches = screen(predictor, found, per_atom=per_atom, batch_size=batch_size)
        first_results = _write_all(batches, output, report)
    except BrokenPipeError:
        raise  # typer ends quietly when `| head` has seen enough
    except (ValueError, OSError) as error:
        fail(str(error))
    unplotted = None if plot is None else _try_to_plot(first_results, plot, window)
    report.summarise(output, None if unplotted else plot)
    if unplotted:
        fail(unplotted)


def _meaning_of_uncertainty(predictor: "ElectronicStructureModel", num_models: int) -> str:
    if num_models > 1:
        return f"±: spread of the {num_models} models (one standard deviation, not calibrated)."
    return _CALIBRATED if predictor.predicts_uncertainty else ""


def _try_to_plot(results: "list[Predicted]", path: Path, window: tuple[float, float] | None) -> str | None:
    """Save the figure, or return why not: everything that was computed and written before is still valid."""
    try:
        _save_plot(results, path, window)
    except ValueError as error:
        return f"{path} was not written: {error}"
    except OSError as error:
        return str(error)
    return None


def _check_options(
    *,
    per_atom: bool,
    output: Path | None,
    plot: Path | None,
    window: tuple[float, float] | None,
    temperature: float | None,
) -> None:
    if per_atom and output is None and plot is None:
        usage("--per-atom needs an output file; add --output or --plot")
    if temperature is not None and not math.isfinite(temperature):
        usage(f"expected a temperature of at least 0 K, got {temperature:g}")
    check_formats(output, plot, window)


class _Report:
    """The table, the errors and the progress bar on the terminal."""

    def __init__(
        self,
        *,
        has_fermi_level: bool,
        uncertainty: str,
        temperature: float | None,
        expected_electrons: "Callable[[Atoms], float | None]",
    ) -> None:
        from tqdm import tqdm

        self.num_done = 0
        self.num_failed = 0
        self._num_incomplete = 0
        self._num_miscounted, self._first_miscounted = 0, ""
        self._expected_electrons = expected_electrons
        self._has_fermi_level = has_fermi_level
        self._uncertainty = uncertainty
        self._temperature = temperature
        self._width = 0
        # disable=None: no bar if the output is not a terminal
        self._bar = tqdm(unit=" structures", delay=2, disable=None, leave=False)

    def show(self, batch: "list[Predicted | Failed]") -> "list[Predicted]":
        """Print the errors of a batch and its rows of the table; return the structures in the rows."""
        from electrain.calculators import Failed, Predicted

        for item in batch:
            if isinstance(item, Failed):
                self.num_failed += 1
                self._write(f"error: {item.name}: {item.reason}", err=True)
        done = [item for item in batch if isinstance(item, Predicted)]
        if done and self.num_done == 0:
            self._show_head([item.name for item in done])
        for item in done:
            self._show_row(item.name, item.result)
            self._compare_electrons(item.name, item.result)
        self.num_done += len(done)
        self._bar.update(len(done))
        return done

    def _show_head(self, names: list[str]) -> None:
        self._width = max(len(name) for name in ["structure", *names])
        columns = f"{'formula':<12} {'atoms':>6} {'band gap (eV)':>14} {'Fermi level (eV)':>17} {'electrons':>10}"
        columns += "" if self._temperature is None else f" {'heat capacity (kB)':>19}"
        self._write(f"{'structure':<{self._width}}  {columns}")

    def _show_row(self, name: str, result: "ElectronicStructure") -> None:
        spreads = (None, None) if result.uncertainty is None else result.uncertainty[1:]
        gap, level = _number(result.band_gap, spreads[0]), _number(result.fermi_level, spreads[1])
        columns = f"{result.formula:<12} {len(result.atoms):>6} {gap:>14} {level:>17} "
        columns += f"{_number(result.num_electrons, None):>10}"
        columns += "" if self._temperature is None else f" {self._heat_capacity(name, result):>19}"
        self._write(f"{name:<{self._width}}  {columns}")

    def _compare_electrons(self, name: str, result: "ElectronicStructure") -> None:
        from electrain.results.electronic_structure import miscounts

        found, expected = result.num_electrons, self._expected_electrons(result.atoms)
        if found is not None and expected is not None and miscounts(found, expected):
            self._num_miscounted += 1
            self._first_miscounted = self._first_miscounted or f"{name} ({found:.2f} instead of {expected:g})"

    def _heat_capacity(self, name: str, result: "ElectronicStructure") -> str:
        from electrain.spectra.fermi import BOLTZMANN

        assert self._temperature is not None
        try:
            found = result.heat_capacity(self._temperature)
        except ValueError as error:
            self._num_incomplete += 1
            self._write(f"error: {name}: no heat capacity at {self._temperature:g} K: {error}", err=True)
            return "-"
        spread = None if found.uncertainty is None else float(found.uncertainty[0]) / BOLTZMANN
        return _number(float(found.values[0]) / BOLTZMANN, spread, digits=4)

    def close(self) -> None:
        """Remove the progress bar."""
        self._bar.close()

    def summarise(self, output: Path | None, plot: Path | None) -> None:
        """Explain the columns, name the files, and exit with 1 if anything failed."""
        typer.echo(f"\n{_WITH_FERMI_LEVEL if self._has_fermi_level else _WITHOUT_FERMI_LEVEL}")
        if self._uncertainty:
            typer.echo(self._uncertainty)
        if self._temperature is not None:
            typer.echo(f"Heat capacity: electronic heat capacity of the whole structure at {self._temperature:g} K.")
        if self._num_miscounted:
            others = f" and {self._num_miscounted - 1} more" if self._num_miscounted > 1 else ""
            typer.echo(
                f"note: {self._first_miscounted}{others}: the number of electrons differs from that in the training "
                "data, so density of states and Fermi level are inconsistent"
            )
        if output is not None:
            typer.echo(f"wrote {output}")
        if plot is not None:
            beyond = f", the first {MAX_PANELS} structures" if self.num_done > MAX_PANELS else ""
            typer.echo(f"wrote {plot}{beyond}")
        if self.num_failed:
            fail(f"{self.num_failed} of {self.num_done + self.num_failed} could not be computed (see above)")
        if self._num_incomplete:
            fail(f"{self._num_incomplete} of {self.num_done} heat capacities could not be computed (see above)")

    def _write(self, line: str, *, err: bool = False) -> None:
        self._bar.clear()
        typer.echo(line, err=err)


def _number(value: float | None, uncertainty: float | None, digits: int = 2) -> str:
    if value is None:
        return "-"
    return f"{value:.{digits}f}" if uncertainty is None else f"{value:.{digits}f} ± {uncertainty:.{digits}f}"


def _write_all(
    batches: "Iterable[list[Predicted | Failed]]", output: Path | None, report: _Report
) -> "list[Predicted]":
    """Show and write results as they come, and return the first ones, for a plot."""
    from electrain.files.replacing import naming
    from electrain.results.files import open_writer

    first_results: list[Predicted] = []
    with ExitStack() as stack:
        writer = None if output is None else stack.enter_context(open_writer(output))
        for batch in batches:
            with naming("standard output"):  # not the file that is open
                done = report.show(batch)
            if writer is not None:
                for item in done:
                    writer.write(item.result, item.name)
            first_results += done[: MAX_PANELS - len(first_results)]
        report.close()
        if report.num_done == 0:
            raise typer.Exit(1)  # inside the block, so that no file is left
    return first_results


def _save_plot(shown: "list[Predicted]", path: Path, window: tuple[float, float] | None) -> None:
    from electrain.files.replacing import replacing
    from electrain.plots.spectra import plot_several
    from electrain.plots.style import save_figure

    names = None if len(shown) == 1 else [Path(item.name).name for item in shown]
    figure = plot_several([item.result for item in shown], window=window, names=names)
    with replacing(path) as temporary:
        save_figure(figure, temporary)
