"""Processes that work in parallel."""

import tempfile
from pathlib import Path

import pytest

from electrain.jobs.workers import dask_client


def test_temporary_files_of_workers_go_with_them(tmp_path, monkeypatch):
    """Also those of a worker that is killed in the middle of a task, and those of Dask itself."""
    pytest.importorskip("distributed")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with dask_client(2, None) as client:
        folder = Path(client.submit(tempfile.mkdtemp).result())
        assert folder.is_dir() and tmp_path in folder.parents
    assert list(tmp_path.iterdir()) == []
