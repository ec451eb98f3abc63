"""Checks of options when metatrain validates them, and messages that say what to change."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import core_schema

from .metatrain_errors import OptionsError, say_what_to_change
from .option_types import describe, did_you_mean, key_at, option_at, options_of, tables_in

MODEL_SECTION, TRAINING_SECTION = "architecture.model", "architecture.training"

Table = TypeVar("Table", bound=type)

_SECTIONS: dict[tuple[str, str], Any] = {}  # by module and section


def checked(section: str) -> Callable[[Table], Table]:
    """Decorate the TypedDict of a section of the options file: wrong options raise an :class:`OptionsError`.

    metatrain validates options with pydantic before it reads any data. Here pydantic checks the same, but the messages
    are our own: the full name of each option, what is expected according to its definition, and what came.

    :param section: :data:`MODEL_SECTION` or :data:`TRAINING_SECTION`.
    """

    def decorate(table: Table) -> Table:
        _SECTIONS[table.__module__, section] = table

        def with_own_messages(source: Any, handler: Any) -> core_schema.CoreSchema:
            def check(value: Any, inner: Any) -> Any:
                say_what_to_change()
                try:
                    return inner(value)
                except ValidationError as error:
                    raise OptionsError(_report(section, table, value, error)) from None

            return core_schema.no_info_wrap_validator_function(check, handler(source))

        # A TypedDict cannot inherit methods; what pydantic looks for is set on each class.
        table.__get_pydantic_core_schema__ = with_own_messages  # type: ignore[attr-defined]
        return table

    return decorate


def _report(section: str, table: Any, options: Any, error: ValidationError) -> str:
    found = [(_path(entry, options), entry) for entry in error.errors(include_url=False)]
    lines = list(dict.fromkeys(_line(section, table, path, entry) for path, entry in _without_other_forms(found)))
    head = "An option is wrong" if len(lines) == 1 else f"{len(lines)} options are wrong"
    return f"{head}; docs/options.md explains all of them.\n\n" + "\n".join(f"  {line}" for line in lines)


def _path(entry: Mapping[str, Any], options: Any) -> tuple[Any, ...]:
    """Names of the options on the way to an error, without pydantic's names for the forms an option can have."""
    *names, last = entry["loc"] or ("",)
    path, inside = [], options
    for name in [*names, last]:
        if (isinstance(inside, dict) and name in inside) or (isinstance(inside, list) and isinstance(name, int)):
            path.append(name)
            inside = inside[name]
    return (*path, last) if entry["type"] == "missing" else tuple(path)


def _without_other_forms(found: list[tuple[tuple[Any, ...], Any]]) -> Iterable[tuple[tuple[Any, ...], Any]]:
    """Leave out that an option has not its other form, such as a name instead of a table with the actual mistake."""
    for path, entry in found:
        if not any(len(other) > len(path) and other[: len(path)] == path for other, _ in found):
            yield path, entry


def _line(section: str, table: Any, path: tuple[Any, ...], entry: Mapping[str, Any]) -> str:
    is_key = entry["loc"][-1:] == ("[key]",)  # of a table, and wrong itself
    option = key_at(table, path[:-1]) if is_key else option_at(table, path)
    name = ".".join([section, *map(str, path[:-1] if is_key else path)])
    if entry["type"] == "extra_forbidden":
        return f"{name}: there is no such option{_hint(section, table, path)}"
    if entry["type"] == "value_error":
        return f"{name}: {entry['ctx']['error']}"
    expected = entry["msg"] if option is None else f"expected {describe(option)}"
    if entry["type"] == "missing":
        return f"{name}: {expected}, but it is missing"
    if entry["type"] == "finite_number":
        expected = expected.replace("a number", "a finite number")
    return f"{name}: {expected}, got {_shown(entry['input'])}"


def _hint(section: str, table: Any, path: tuple[Any, ...]) -> str:
    *outer, wrong = path
    for (module, other), options in _SECTIONS.items():
        if not outer and module == table.__module__ and other != section and wrong in options_of(options):
            return f" here; it belongs under {other}"
    return did_you_mean(
        str(wrong), [name for inner in tables_in(option_at(table, outer)) for name in options_of(inner)]
    )


def _shown(value: Any) -> str:
    """Return a value as in an options file, shortened if it is long."""
    text = repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 100 else f"{text[:100]} ..."
