"""The ``electrain`` command."""

from .main import app

__all__ = ["app"]
