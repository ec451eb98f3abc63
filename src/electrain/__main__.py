"""``python -m electrain``: the same as the command ``electrain``."""

from electrain.cli import app

app(prog_name="electrain")
