"""Models whose files come with electrain, one folder for each beside this file."""

from pathlib import Path
from typing import NamedTuple

from electrain import __version__

from .cache import VARIABLE, cache_folder

FOLDER = Path(__file__).parent
CARD = "card.md"


class Embedded(NamedTuple):
    """A model that comes with electrain.

    :param name: its name, which is that of its folder.
    """

    name: str

    def file(self, suffix: str) -> Path:
        """Return its exported model (``.pt``) or its checkpoint (``.ckpt``), completed in the cache if need be.

        :raises FileNotFoundError: if the installation is incomplete.
        :raises OSError: if the checkpoint cannot be written.
        """
        path = FOLDER / self.name / f"model{suffix}"
        if not path.is_file():
            raise FileNotFoundError(f"the file {path} of the model {self.name} is missing; install electrain again")
        return self._complete(path) if suffix == ".ckpt" else path

    def _complete(self, path: Path) -> Path:
        """Write the checkpoint with the weights of the exported model, which are not stored twice."""
        from electrain.files.checkpoints import read_checkpoint, write_checkpoint  # imports torch, which takes seconds

        from .weights import lacks_weights, with_weights

        checkpoint = read_checkpoint(path)
        if not lacks_weights(checkpoint):
            return path
        complete = with_weights(checkpoint, self.file(".pt"))
        target = cache_folder() / self.name / __version__ / path.name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_checkpoint(complete, target)
        except OSError as error:
            raise OSError(
                f"the checkpoint of {self.name} cannot be written to {target.parent} ({error}); choose another folder "
                f"with {VARIABLE}"
            ) from error
        return target

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
