"""``electrain hot``: an exported model with hot electrons."""

from pathlib import Path
from typing import Annotated

import typer

from .common import Extensions, checking_usage, chosen_model, fail, files_of, usage
from .outputs import Overwrite, check_outputs


def hot(
    temperature: Annotated[
        float,
        typer.Option("--temperature", "-T", metavar="KELVIN", help="Electronic temperature in kelvin, e.g. 10000."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="File for the new model (.pt).")],
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="Exported model (.pt) that predicts the energy and the density of states, or the name of a model, see "
            "`electrain models`; default: the model that comes with electrain.",
            show_default=False,
        ),
    ] = None,
    valence_electrons: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="Valence electrons of every element in the training data, e.g. 'Si=4 O=6'; default: the values stored "
            "in the model.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    extensions: Extensions = None,
) -> None:
    """Write a model with hot electrons, for simulations of laser-heated metals or warm dense matter.

    The energy of the new model is the free energy E + F_el(T) - E_el(0) of electrons at this temperature in the
    predicted density of states. In every engine that runs the model, forces and stress are its derivatives; the
    temperature of the nuclei is that of the simulation. The model runs in one process, because all electrons of a
    structure share one Fermi level.

    Example:  electrain hot model.pt --temperature 10000 -o hot.pt
    """
    if output.suffix != ".pt":
        usage(f"expected an output file that ends with .pt, got {output}")
    check_outputs([output], files_of([model] if model else None), overwrite=overwrite)
    from electrain.calculators import with_hot_electrons  # imports torch, which takes seconds
    from electrain.files.models import save_model
    from electrain.spectra.electronic_free_energy import check_temperature

    with checking_usage():
        check_temperature(temperature)
        counts = None if valence_electrons is None else _read_counts(valence_electrons)
    chosen = chosen_model(model)
    try:
        save_model(with_hot_electrons(chosen, temperature, counts, extensions_directory=extensions), output)
    except (ValueError, OSError) as error:
        fail(error)
    typer.echo(f"wrote {output}: energy, forces and stress with electrons at {temperature:g} K")


def _read_counts(text: str) -> dict[str, float]:
    from electrain.calculators.hot_electrons import check_valence_electrons

    counts: dict[str, float] = {}
    for entry in text.replace(",", " ").split():
        symbol, _, number = entry.partition("=")
        if symbol in counts:
            raise ValueError(f"expected one number of valence electrons for each element, got {symbol} twice")
        try:
            counts[symbol] = float(number)
        except ValueError:
            raise ValueError(f"expected valence electrons such as 'Si=4 O=6', got {entry!r}") from None
    check_valence_electrons(counts)
    return counts
