"""Where files of published models are kept."""

import os
from pathlib import Path

VARIABLE = "ELECTRAIN_CACHE"


def cache_folder() -> Path:
    """Return the folder: ``ELECTRAIN_CACHE``, otherwise ``electrain`` in the user's cache."""
    own = os.environ.get(VARIABLE)
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "electrain"
