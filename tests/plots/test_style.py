"""Figures as files."""

import time

import pytest
from matplotlib.figure import Figure

from electrain.plots.style import save_figure


@pytest.mark.parametrize("suffix", [".pdf", ".svg"])
def test_equal_figures_give_equal_files(tmp_path, monkeypatch, suffix):
    """However long after each other they are written."""
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    paths = [tmp_path / f"{name}{suffix}" for name in ("first", "second")]
    for path in paths:
        figure = Figure()
        panel = figure.add_subplot()
        panel.plot([1, 2], label="line", clip_on=True)
        panel.legend()
        save_figure(figure, path)
        time.sleep(1.01)
    first, second = (path.read_bytes() for path in paths)
    assert first == second
