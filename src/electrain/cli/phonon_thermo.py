"""``electrain thermo`` with a model of phonons: heat capacity, entropy and energies of each structure."""

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from .common import checking_usage, fail

if TYPE_CHECKING:
    from electrain.calculators import Failed, Predicted, SpectrumModel
    from electrain.results import Spectrum
    from electrain.thermodynamics.phonons import PhononIntegrals, PhononThermodynamics

_DEFAULT_TEMPERATURES = [100.0 * index for index in range(11)]


def phonon_thermo(
    model: "SpectrumModel",
    sources: list[str],
    temperatures: list[float] | None,
    output: Path | None,
    plot: Path | None,
    batch_size: int,
) -> None:
    """Predict the phonons of all structures, print and write their thermodynamics.

    Structures that fail are reported, and the exit status is then 1, after the others have been computed.
    """
    from electrain.calculators import screen
    from electrain.interface.quantities import quantity_of
    from electrain.structures.files import read_structures
    from electrain.thermodynamics.phonons import PhononIntegrals

    if quantity_of(model.target).fixed_axis != "frequency":
        fail(
            f"{model.name} predicts {model.target} ({quantity_of(model.target).label}): expected a phonon density of "
            "states, or, for electrons, mtt::dos with its Fermi level"
        )
    with checking_usage():
        integrals = PhononIntegrals(model.axis, _DEFAULT_TEMPERATURES if temperatures is None else temperatures)
    found = chain.from_iterable(map(read_structures, sources))
    results: list[tuple[str, PhononThermodynamics]] = []
    num_failed = 0
    for outcome in chain.from_iterable(screen(model, found, batch_size=batch_size)):
        computed = _computed(outcome, integrals)
        if isinstance(computed, str):
            num_failed += 1
            typer.echo(f"error: {outcome.name}: {computed}", err=True)
            continue
        _show(outcome.name, computed)
        results.append((outcome.name, computed))
    if results:
        _explain()
        _write(results, model, output, plot)
    if num_failed:
        fail(f"{num_failed} of {num_failed + len(results)} could not be computed (see above)")


def _computed(outcome: "Predicted[Spectrum] | Failed", integrals: "PhononIntegrals") -> "PhononThermodynamics | str":
    """The thermodynamics of a structure, or why there is none."""
    from electrain.calculators import Failed

    if isinstance(outcome, Failed):
        return outcome.reason
    try:
        return integrals.thermodynamics(outcome.result)
    except ValueError as error:
        return str(error)


def _show(name: str, result: "PhononThermodynamics") -> None:
    from electrain.thermodynamics.phonon_files import table

    modes = f"{result.num_modes} modes"
    if result.predicted_modes is not None:
        modes += f" ({result.predicted_modes:.2f} predicted)"
    energy = 1e3 * result.zero_point_energy / result.num_atoms
    typer.echo(f"{name}: {result.spectrum.formula}, {modes}, zero-point energy {energy:.2f} meV/atom")
    for note in result.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"\n{table(result)}\n")


def _explain() -> None:
    from electrain.thermodynamics.phonons import DULONG_PETIT

    typer.echo("All values per mole of atoms. Heat capacity: at constant volume; Dulong and Petit's limit is")
    typer.echo(f"{DULONG_PETIT:.3f} J/(mol K). Energies: with the zero-point energy; free energy F = U - T S.")


def _write(
    results: "list[tuple[str, PhononThermodynamics]]", model: "SpectrumModel", output: Path | None, plot: Path | None
) -> None:
    from electrain.files.replacing import replacing
    from electrain.plots.style import save_figure
    from electrain.thermodynamics.phonon_figure import MAX_STRUCTURES, plot_phonons
    from electrain.thermodynamics.phonon_files import write

    for path in [] if output is None else write(results, output, model=model.name):
        typer.echo(f"wrote {path}")
    if plot is not None:
        with replacing(plot) as temporary:
            save_figure(plot_phonons([(Path(name).name, result) for name, result in results]), temporary)
        beyond = f", the first {MAX_STRUCTURES} structures" if len(results) > MAX_STRUCTURES else ""
        typer.echo(f"wrote {plot}{beyond}")
