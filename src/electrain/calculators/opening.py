"""Models as users give them: by name, as a file, or loaded."""

from pathlib import Path
from typing import NamedTuple

from metatomic.torch import AtomisticModel

from electrain.files.models import load_any_model
from electrain.pretrained import locate


class Opened(NamedTuple):
    """An exported model, of any quantities.

    :param model: the model.
    :param name: its name or its path; ``None`` if it was given as an object.
    """

    model: AtomisticModel
    name: str | None

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.name or "the model"


def open_model(model: str | Path | AtomisticModel | Opened | None, extensions_directory: str | Path | None) -> Opened:
    """Open a model, whatever it predicts.

    :param model: a name, see :func:`electrain.pretrained.known_models`, a ``.pt`` file, or a loaded model, which is
        returned as it is; ``None`` for the model that comes with electrain.
    :param extensions_directory: see :func:`electrain.files.models.load_model`.
    :raises FileNotFoundError, OSError, ValueError: as for :func:`electrain.pretrained.locate`.
    :raises ModelFileError: if the file is no exported model, or asks for compiled libraries it may not load.
    """
    if isinstance(model, Opened):
        return model
    if isinstance(model, AtomisticModel):
        return Opened(model, None)
    located = locate(model)
    return Opened(load_any_model(located.path, extensions_directory), located.name)
