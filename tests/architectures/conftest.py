"""Architectures of the tests: metatrain finds them beside the installed ones."""

from pathlib import Path

import metatrain
import metatrain.utils.io
import pytest
from metatrain.utils import architectures

PLUGINS = Path(__file__).parent / "plugins"
metatrain.__path__.append(str(PLUGINS))


@pytest.fixture(autouse=True)
def plugins_are_found(monkeypatch):
    """As those whose shims the wheel has put into metatrain's folder."""
    found = [*architectures.find_all_architectures(), *(path.name for path in PLUGINS.iterdir())]
    monkeypatch.setattr(metatrain.utils.io, "find_all_architectures", lambda: found)
