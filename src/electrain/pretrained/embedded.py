"""Models whose files come with electrain, one folder for each beside this file."""

from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
CARD = "card.md"


class Embedded(NamedTuple):
    """A model that comes with electrain.

    :param name: its name, which is that of its folder.
    """

    name: str

    def file(self, suffix: str) -> Path:
        """Return its exported model (``.pt``) or its checkpoint (``.ckpt``).

        :raises FileNotFoundError: if the installation is incomplete.
        """
        path = FOLDER / self.name / f"model{suffix}"
        if not path.is_file():
            raise FileNotFoundError(f"the file {path} of the model {self.name} is missing; install electrain again")
        return path

    def exported(self) -> Path | None:
        """Return its exported model."""
        return self.file(".pt")

    def card(self) -> str:
        """Return its description, in Markdown."""
        return read_card(self.name)


def embedded_models() -> list[Embedded]:
    """Return all models that come with this installation."""
    return [Embedded(path.parent.name) for path in sorted(FOLDER.glob("*/model.pt"))]


def read_card(name: str) -> str:
    """Return the description of a model, in Markdown.

    :raises FileNotFoundError: if the installation is incomplete.
    """
    path = FOLDER / name / CARD
    if not path.is_file():
        raise FileNotFoundError(f"the file {path} of the model {name} is missing; install electrain again")
    return path.read_text(encoding="utf-8")
