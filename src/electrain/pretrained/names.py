"""The list of all models that have a name, and the files that names stand for."""

import os
import re
from pathlib import Path
from typing import Literal, NamedTuple

from .embedded import Embedded, embedded_models
from .published import PUBLISHED, Published

# The embedded model that is used if no model is given.
DEFAULT = "electrain-small"

KnownModel = Embedded | Published
Suffix = Literal[".pt", ".ckpt"]


class Located(NamedTuple):
    """The file of a model.

    :param name: as the user calls it: the name of a known model, or a path.
    :param path: the file.
    :param is_known: whether ``name`` is that of a known model.
    """

    name: str
    path: Path
    is_known: bool


def known_models() -> dict[str, KnownModel]:
    """Return all models that this installation knows by name: the default, other embedded ones, published ones."""
    found: dict[str, KnownModel] = {model.name: model for model in embedded_models()}
    names = sorted(found, key=lambda name: (name != DEFAULT, name))
    return {name: found[name] for name in names} | {model.name: model for model in PUBLISHED}


def default_name() -> str:
    """Return the name of the model that is used if none is given.

    :raises FileNotFoundError: if this installation contains no embedded model.
    """
    known = known_models()
    if DEFAULT not in known:
        raise FileNotFoundError(
            f"no model was given, and this installation of electrain has none of its own ({DEFAULT}); expected an "
            f"exported model (.pt), or one of the names {', '.join(known)}"
        )
    return DEFAULT


def locate(model: str | Path | None = None, suffix: Suffix = ".pt") -> Located:
    """Return the file of a model, which is downloaded if it is a published one and has not been used before.

    A name takes precedence over a file of the same name, which can be given as ``./name``.

    :param model: a name, or the path of a file, which is returned as it is; ``None`` for the default.
    :param suffix: of known models: the exported model (``.pt``) or the checkpoint (``.ckpt``).
    :raises FileNotFoundError: if there is neither such a file nor such a name.
    :raises OSError: if a published model can be neither found on this machine nor downloaded.
    :raises ValueError: if what was downloaded is not that model.
    """
    name = default_name() if model is None else str(model)
    known = known_models()
    if name in known:
        return Located(name, known[name].file(suffix), is_known=True)
    if not Path(name).exists():
        raise FileNotFoundError(_reason(name, known))
    return Located(name, Path(name), is_known=False)


def checkpoint_in_place_of(path: str) -> str:
    """Return the checkpoint of a known model for its name, and anything that may be a path as it is.

    :raises FileNotFoundError: for a name that is not known, and as for :func:`locate`.
    """
    if path in known_models() or not (looks_like_path(path) or Path(path).exists()):
        return str(locate(path, ".ckpt").path)
    return path


def looks_like_path(name: str) -> bool:
    """Whether a name contains a folder or ends with the suffix of a file, which ``v1.0`` is not."""
    separators = [os.sep, *([os.altsep] if os.altsep else [])]
    return any(separator in name for separator in separators) or bool(re.search(r"\.[A-Za-z]\w*$", name))


def _reason(name: str, known: dict[str, KnownModel]) -> str:
    if looks_like_path(name):
        return f"the model file {name} does not exist"
    return f"there is no model with the name {name!r}, and no such file; known names: {', '.join(known)}"
