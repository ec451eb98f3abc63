"""Write docs/options.md from the definitions of the options: ``python docs/make_options.py``."""

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin

from typing_extensions import get_original_bases, is_typeddict

from electrain.architectures.bandformer import documentation as bandformer
from electrain.architectures.dos_baseline import documentation as dos_baseline
from electrain.architectures.dos_transformer import documentation as dos_transformer
from electrain.architectures.pet_mad.documentation import ModelHypers, TrainerHypers
from electrain.architectures.tiny_net import documentation as tiny_net
from electrain.interface.option_types import describe, options_of, tables_in
from electrain.interface.options import MODEL_SECTION, TRAINING_SECTION

PAGE = Path(__file__).with_name("options.md")

HEAD = """\
# Options

<!-- Written by docs/make_options.py from the definitions of the options. Change those, and run it again. -->

All options of the architecture `pet_mad` in `options.yaml`, from which `mtt train options.yaml` trains a model, and at
the end those of [`dos_transformer`](#dos_transformer), [`bandformer`](#bandformer), [`tiny_net`](#tiny_net) and
[`dos_baseline`](#dos_baseline). `electrain prepare` writes this file with the data. An option that is not in it has its
default, which is that of the published models. A wrong option stops the command before it computes anything, with a
message that says what was expected.
[training.md](training.md) explains losses, fine-tuning and restarts, and
[metatrain's pages](https://docs.metatensor.org/metatrain/) everything outside of `architecture`: data, devices,
precision, seeds.

    architecture:
      name: pet_mad
      model:
        cutoff: 5.0          # an option of `architecture.model`
      training:
        num_epochs: 300      # an option of `architecture.training`

`null` stands for no value, and "a table" for several lines below the option, each with a name and a value. `TARGET`
is the name of a target, such as `mtt::dos` or `energy`.
"""

OTHERS = {
    "dos_transformer": dos_transformer,
    "bandformer": bandformer,
    "tiny_net": tiny_net,
    "dos_baseline": dos_baseline,
}


class Section(NamedTuple):
    """A table of options and its place in the options file."""

    name: str
    table: Any


def page() -> str:
    """Return the text of the page."""
    known: list[Section] = []
    for section in (Section(MODEL_SECTION, ModelHypers), Section(TRAINING_SECTION, TrainerHypers)):
        known += _sections(section, known)
    others = "".join(_other(name, documentation) for name, documentation in OTHERS.items())
    return HEAD + "".join(_text(section, known) for section in known) + others


def _other(name: str, documentation: Any) -> str:
    """Return what another architecture has of its own, or with other defaults."""
    text = (
        f"\n## `{name}`\n\nThe options of all architectures, which are `energy_grid`, `band_gap_from`, `zbl` and those "
    )
    text += f"of `{TRAINING_SECTION}` but `cuda_graphs`, are above. [{name}.md]({name}.md) explains the rest.\n"
    for section, table in ((MODEL_SECTION, documentation.ModelHypers), (TRAINING_SECTION, documentation.TrainerHypers)):
        own = [option for option in _own_meanings(table) if not tables_in(options_of(table)[option])]
        text += f"\n`{section}`:\n\n" + _table(table, own, [])
    return text


def _sections(section: Section, known: list[Section]) -> list[Section]:
    """Return a section and those inside of it, without tables that are known already."""
    found = [section]
    for name, option in options_of(section.table).items():
        for inner in _tables(option, f"{section.name}.{name}"):
            if all(inner.table is not other.table for other in [*known, *found]):
                found += _sections(inner, [*known, *found])
    return found


def _tables(option: Any, name: str) -> Iterator[Section]:
    if is_typeddict(option):
        yield Section(name, option)
        return
    inside = ".TARGET" if get_origin(option) is dict else ""
    for part in get_args(option):
        yield from _tables(part, name + inside)


def _text(section: Section, known: list[Section]) -> str:
    table = section.table
    return f"\n## `{section.name}`\n\n{_prose(table.__doc__)}\n\n" + _table(table, list(options_of(table)), known)


def _table(table: Any, names: list[str], known: list[Section]) -> str:
    meanings, defaults, options = _meanings(table), _defaults(table), options_of(table)
    lines = ["| option | default | values | meaning |", "|---|---|---|---|"]
    for name in names:
        values = describe(options[name]).replace("|", "\\|")
        for inner in _tables(options[name], ""):
            place = next(other.name for other in known if other.table is inner.table)
            link = f"[options](#{place.replace('.', '').lower()})"
            values = re.sub("a table of options|a table(?!, each)", f"a table of {link}", values)
        lines.append(f"| `{name}` | {_default(name, table, defaults)} | {values} | {_prose(meanings[name])} |")
    return "\n".join(lines) + "\n"


def _default(name: str, table: Any, defaults: dict[str, Any]) -> str:
    if name not in defaults:
        return "required" if name in table.__required_keys__ else ""
    value = defaults[name]
    if isinstance(value, dict) and value:
        return "as below"
    return f"`{value if isinstance(value, float | str) else json.dumps(value)}`"


def _defaults(table: Any) -> dict[str, Any]:
    """Defaults of a TypedDict, which keeps those of its bases from it."""
    inherited = {name: value for base in _bases(table) for name, value in _defaults(base).items()}
    return inherited | {name: vars(table)[name] for name in options_of(table) if name in vars(table)}


def _meanings(table: Any) -> dict[str, str]:
    """Docstrings below the options, with those of the bases."""
    return {name: text for base in _bases(table) for name, text in _meanings(base).items()} | _own_meanings(table)


def _own_meanings(table: Any) -> dict[str, str]:
    found = {}
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(table))).body
    assert isinstance(definition, ast.ClassDef)
    for option, text in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(option, ast.AnnAssign) and isinstance(text, ast.Expr):
            found[ast.unparse(option.target)] = ast.literal_eval(text.value)
    return found


def _bases(table: Any) -> list[Any]:
    return [base for base in get_original_bases(table) if is_typeddict(base) and hasattr(base, "__annotations__")]


def _prose(docstring: str) -> str:
    text = " ".join(docstring.split()).replace("``", "`").replace("|", "\\|")
    return text.replace("docs/training.md", "[training.md](training.md)").replace(
        "docs/speed.md", "[speed.md](speed.md)"
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
