"""``electrain dos`` with a model of spectra on a fixed axis: phonons, and electrons in a given window."""

from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .common import Failures

if TYPE_CHECKING:
    from electrain.calculators import SpectrumModel
    from electrain.results import Spectrum

MAX_PANELS = 12


def spectrum_dos(
    model: "SpectrumModel",
    sources: list[str],
    output: Path | None,
    plot: Path | None,
    window: tuple[float, float] | None,
    batch_size: int,
) -> None:
    """Predict the spectra of all structures, print a table, and write and plot them.

    Structures that fail are reported, and the exit status is then 1, after the others have been computed.
    """
    from electrain.calculators import screen
    from electrain.interface.quantities import quantity_of
    from electrain.plots.fixed_spectra import shown_part
    from electrain.results.spectrum_files import open_spectrum_writer
    from electrain.structures.files import read_structures

    shown_part(model.axis, window)  # nothing is computed for a window outside of the axis
    first: list[tuple[str, Spectrum]] = []
    num_done, failures = 0, Failures()
    with ExitStack() as stack:
        writer = None if output is None else stack.enter_context(open_spectrum_writer(output))
        for batch in screen(model, chain.from_iterable(map(read_structures, sources)), batch_size=batch_size):
            done = [(item.name, item.result) for item in failures.leave_out(batch)]
            if done and num_done == 0:
                width = max(len(name) for name, _ in [("structure", None), *done])
                peak = f"maximum ({model.axis.unit})"
                typer.echo(f"{'structure':<{width}}  {'formula':<12} {'atoms':>6} {'states':>10} {peak:>16}")
            for name, spectrum in done:
                typer.echo(f"{name:<{width}}  {_row(spectrum)}")
                if writer is not None:
                    writer.write(spectrum, name)
            num_done += len(done)
            first += done[: MAX_PANELS - len(first)]
        if num_done == 0:
            raise typer.Exit(1)  # inside the block, so that no file is left
    zero = ", relative to the Fermi level" if quantity_of(model.target).fixed_axis == "energy" else ""
    typer.echo(f"\n{model.target}: {quantity_of(model.target).label} at {model.axis}{zero}")
    if output is not None:
        typer.echo(f"wrote {output}")
    if plot is not None:
        _plot(first, plot, window)
        typer.echo(f"wrote {plot}{f', the first {MAX_PANELS} structures' if num_done > MAX_PANELS else ''}")
    failures.end(num_done)


def _row(spectrum: "Spectrum") -> str:
    states = "-" if spectrum.num_states is None else f"{spectrum.num_states:.2f}"
    peak = spectrum.axis.values()[int(spectrum.values.argmax())]
    return f"{spectrum.formula:<12} {len(spectrum.atoms):>6} {states:>10} {float(peak):>16g}"


def _plot(shown: "list[tuple[str, Spectrum]]", path: Path, window: tuple[float, float] | None) -> None:
    from electrain.files.replacing import replacing
    from electrain.plots.fixed_spectra import plot_spectra
    from electrain.plots.style import save_figure

    names = None if len(shown) == 1 else [Path(name).name for name, _ in shown]
    figure = plot_spectra([spectrum for _, spectrum in shown], window=window, names=names)
    with replacing(path) as temporary:
        save_figure(figure, temporary)
