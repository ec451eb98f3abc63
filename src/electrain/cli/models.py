"""``electrain models``: the models that are known by name."""

from typing import TYPE_CHECKING, Annotated

import typer

from .common import fail

if TYPE_CHECKING:
    from electrain.pretrained.facts import Facts

_HEAD = ("name", "predicts", "elements", "size", "where")


def models(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Print the card of this model: what it is, and how good.")
    ] = None,
) -> None:
    """List the models that are known by name, or describe one of them.

    Wherever a command takes a model, it also takes one of these names.

    Example:  electrain models pet-mad-dos
    """
    from electrain.pretrained import DEFAULT, known_models
    from electrain.pretrained.facts import facts_of

    known = known_models()
    if name is not None:
        if name not in known:
            fail(f"there is no model with the name {name!r}; known names: {', '.join(known)}")
        try:
            typer.echo(known[name].card().strip())
        except OSError as error:
            fail(error)
        return
    rows, broken = [], []
    for model in known.values():
        try:
            rows.append(_row(model.name, facts_of(model)))
        except (ValueError, OSError) as error:
            broken.append(error)
    widths = [max(len(row[column]) for row in (_HEAD, *rows)) for column in range(len(_HEAD))]
    for row in (_HEAD, *rows):
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if DEFAULT in known:
        typer.echo(f"\nWithout --model, commands use {DEFAULT}. `electrain models NAME` describes a model.")
    else:
        typer.echo(
            f"\nThis installation has no model of its own ({DEFAULT}). `electrain models NAME` describes a model."
        )
    if broken:
        fail("\nerror: ".join(map(str, broken)))


def _row(name: str, facts: "Facts") -> tuple[str, ...]:
    predicts = ", ".join(facts.predicts)
    if facts.uncertain:
        without = [label for label in facts.predicts if label not in facts.uncertain]
        predicts += ", with uncertainties" + (f" except of the {' and '.join(without)}" if without else "")
    if facts.path is None:
        return name, predicts, str(facts.num_elements), "-", "Hugging Face Hub, downloaded when it is first used"
    size = f"{facts.path.stat().st_size / 1e6:.1f} MB"
    return name, predicts, str(facts.num_elements), size, str(facts.path)
