"""``python -m electrain``: the same as the command ``electrain``."""

from .cli import app

app(prog_name="electrain")
