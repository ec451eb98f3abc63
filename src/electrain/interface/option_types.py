"""Types of options with their ranges, and how to name them to a user.

The range of an option stands beside its definition, as ``Annotated`` metadata that pydantic checks. Error messages and
the table in docs/options.md are written from the same metadata.
"""

import difflib
import types
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Interval, Le, Lt, Unit
from ase.data import atomic_numbers, chemical_symbols
from pydantic import AfterValidator, AllowInfNan, BeforeValidator, ValidationInfo
from typing_extensions import NotRequired, Required, get_type_hints, is_typeddict

Finite = Annotated[float, AllowInfNan(False)]
Positive = Annotated[float, Gt(0), AllowInfNan(False)]
NonNegative = Annotated[float, Ge(0), AllowInfNan(False)]
Count = Annotated[int, Ge(1)]


def chemical_symbol(value: Any) -> str:
    """Return a chemical symbol.

    :raises ValueError: for anything else, with similar symbols.
    """
    if isinstance(value, str) and atomic_numbers.get(value, 0) > 0:
        return value
    # YAML reads the symbol of nobelium as "false"
    hint = '; put "No" in quotes' if value is False else did_you_mean(str(value).capitalize(), chemical_symbols[1:])
    raise ValueError(f"expected a chemical symbol, got {value!r}{hint}")


def atomic_number(value: Any) -> int:
    """Return an atomic number.

    :raises ValueError: for anything else.
    """
    if type(value) is int and 0 < value < len(chemical_symbols):
        return value
    raise ValueError(f"expected an atomic number, 1 to {len(chemical_symbols) - 1}, got {value!r}")


def _at_most_all(electrons: dict[str, float]) -> dict[str, float]:
    for symbol, number in electrons.items():
        if number > atomic_numbers[symbol]:
            raise ValueError(
                f"expected at most {atomic_numbers[symbol]} valence electrons for {symbol}, which has no more "
                f"electrons, got {number:g}"
            )
    return electrons


AtomicNumber = Annotated[int, BeforeValidator(atomic_number)]
ValenceElectrons = Annotated[
    dict[Annotated[str, BeforeValidator(chemical_symbol)], Annotated[Positive, Unit("electrons")]],
    AfterValidator(_at_most_all),
]


def at_most(other: str) -> AfterValidator:
    """Make a check that an option is at most as large as another one, which is defined before it and not null."""

    def check(value: Any, info: ValidationInfo) -> Any:
        limit = info.data.get(other)  # not there if it is wrong itself
        if limit is not None and value > limit:
            raise ValueError(f"expected at most `{other}`, which is {limit:g}, got {value:g}")
        return value

    return AfterValidator(check)


def divisor_of(other: str) -> AfterValidator:
    """Make a check that an option divides another one, which is defined before it."""

    def check(value: int, info: ValidationInfo) -> int:
        whole = info.data.get(other)  # not there if it is wrong itself
        if whole is not None and whole % value:
            raise ValueError(f"expected a divisor of `{other}`, which is {whole}, got {value}")
        return value

    return AfterValidator(check)


def only_with(other: str, choice: str) -> AfterValidator:
    """Make a check that an option is set only with a choice of another one, which is defined before it."""

    def check(value: Any, info: ValidationInfo) -> Any:
        chosen = info.data.get(other, choice)  # not there if it is wrong itself
        if value and chosen != choice:
            raise ValueError(f"expected {value!r} with `{other}: {choice}` only, got `{other}: {chosen}`")
        return value

    return AfterValidator(check)


def _choice(choice: Any) -> str:
    return str(choice) if isinstance(choice, int) or choice.isidentifier() else f'"{choice}"'


_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", type(None): "null"}
_UNIONS = (Union, types.UnionType)


def describe(option: Any, *, with_unit: bool = True) -> str:
    """Return what an option accepts, such as "a number > 0 (eV) or null".

    :param option: its annotation.
    """
    kind, metadata = _parts(option)
    if get_origin(kind) in _UNIONS:
        return _or([describe(choice, with_unit=with_unit) for choice in get_args(kind)])
    if get_origin(kind) is Literal:
        return _or([_choice(choice) for choice in get_args(kind)])
    if get_origin(kind) is list:
        return f"a list, each entry {describe(get_args(kind)[0], with_unit=with_unit)}"
    if get_origin(kind) is dict:
        of = describe(get_args(kind)[1], with_unit=with_unit)
        return "a table" if " or " in of else f"a table, each entry {of}"
    if is_typeddict(kind):
        return "a table of options"
    unit = f" ({unit_of(option)})" if with_unit and unit_of(option) else ""
    return _NAMES[kind] + _range(metadata) + unit


def unit_of(option: Any) -> str:
    """Return the unit of an option, empty for none."""
    kind, metadata = _parts(option)
    units = [entry.unit for entry in metadata if isinstance(entry, Unit)]
    nested = get_args(kind) if get_origin(kind) in _UNIONS else ()
    return next(iter([*units, *filter(None, map(unit_of, nested))]), "")


def options_of(table: Any) -> dict[str, Any]:
    """Return the options of a TypedDict with their annotations, those of its bases first."""
    return get_type_hints(table, include_extras=True)


def tables_in(option: Any) -> list[Any]:
    """Return the TypedDicts that an option accepts, also as entries of a list or a table."""
    kind, _ = _parts(option)
    if is_typeddict(kind):
        return [kind]
    return [table for choice in get_args(kind) if get_origin(kind) is not Literal for table in tables_in(choice)]


def option_at(option: Any, path: Sequence[Any]) -> Any:
    """Return the annotation of an option inside of others, or ``None`` if there is none.

    :param option: annotation of the outermost option or section.
    :param path: names of the options on the way, keys of tables, and indices of lists.
    """
    kind, _ = _parts(option)
    if not path:
        return option
    if get_origin(kind) in _UNIONS:
        found = [option_at(choice, path) for choice in get_args(kind)]
        return next((choice for choice in found if choice is not None), None)
    if is_typeddict(kind):
        known = options_of(kind)
        return option_at(known[path[0]], path[1:]) if path[0] in known else None
    return option_at(get_args(kind)[-1], path[1:]) if get_origin(kind) in (list, dict) else None


def key_at(option: Any, path: Sequence[Any]) -> Any:
    """Return the annotation of the keys of a table, with its path as in :func:`option_at`."""
    kind, _ = _parts(option_at(option, path))
    choices = [_parts(choice)[0] for choice in get_args(kind)] if get_origin(kind) in _UNIONS else [kind]
    return next(get_args(choice)[0] for choice in choices if get_origin(choice) is dict)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a message that suggests the nearest known name, empty without any."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _parts(option: Any) -> tuple[Any, list[Any]]:
    """Type and metadata of an annotation."""
    metadata: list[Any] = []
    while get_origin(option) in (Annotated, NotRequired, Required):
        if get_origin(option) is Annotated:
            metadata += option.__metadata__
            option = option.__origin__
        else:
            option = get_args(option)[0]
    return option, metadata


def _range(metadata: list[Any]) -> str:
    most = "".join(f" and <= {entry.le:g}" for entry in metadata if isinstance(entry, Le))  # type: ignore[str-format]
    most += "".join(f" and < {entry.lt:g}" for entry in metadata if isinstance(entry, Lt))  # type: ignore[str-format]
    for entry in metadata:
        if isinstance(entry, Interval):
            return f", {entry.ge} to {entry.le}"
        if isinstance(entry, Gt):
            return f" > {entry.gt}{most}"
        if isinstance(entry, Ge):
            return f" >= {entry.ge}{most}"
    return ""


def _or(choices: list[str]) -> str:
    *others, last = choices
    long = any(" or " in choice or "," in choice for choice in choices)
    return f"{', '.join(others)}{',' if long else ''} or {last}" if others else last
