"""What `--help` shows."""

from itertools import pairwise

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from electrain.cli import app


@pytest.mark.parametrize("name", sorted(get_command(app).commands))
def test_lines_break_where_the_terminal_ends(name):
    """And not where those of the source do."""
    result = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"})
    assert result.exit_code == 0
    description = result.output.split("╭")[0]
    assert "Example:" in description or name == "demo"
    lines = [line.strip() for line in description.splitlines()]
    for line, following in pairwise(lines):
        if line and following:
            assert len(f"{line} {following.split()[0]}") > 78, line
