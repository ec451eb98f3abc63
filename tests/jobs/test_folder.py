"""Folders of long work: one process at a time, and resumed where it was stopped."""

import contextlib
import socket
import textwrap
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from processes import contents, go_on, kill, started

import electrain.jobs
from electrain.files.replacing import atomically
from electrain.jobs.folder import make_chunks, open_job

WHOLE = {
    "job.json": b'{"numbers": [0, 1, 2, 3]}',
    **{f"squares/{number:08d}.txt": f"the square of {number} is {number**2}".encode() for number in range(4)},
}


def test_two_processes_at_once(tmp_path):
    """The second one stops and says who is there; the first one does not notice."""
    with started("slow_squares.py", "squares", tmp_path / "job") as first:
        assert first.stdout.readline() == "0\n"
        with started("slow_squares.py", "squares", tmp_path / "job") as second:
            output, errors = second.communicate()
        assert (second.returncode, output) == (1, "")
        where = f"{tmp_path / 'job'} is being worked on by process {first.pid} on {socket.gethostname()}"
        assert errors.splitlines()[-1] == f"BlockingIOError: {where}"
        assert first.communicate("\n" * 4) == ("1\n2\n3\n", "")
    assert contents(tmp_path / "job") == WHOLE


def test_killed_and_continued(tmp_path):
    """Neither half a chunk nor the lock of a dead process is in the way, and neither remains."""
    with started("slow_squares.py", "squares", tmp_path / "job") as first:
        assert first.stdout.readline() == "0\n"
        assert [go_on(first), go_on(first)] == ["1\n", "2\n"]
        kill(first)
    left = contents(tmp_path / "job")
    assert left.pop(f"squares/.00000002.txt.{first.pid}.unfinished") == b"the square of "
    assert left.pop(".lock.holder") == f"process {first.pid} on {socket.gethostname()}".encode()
    assert set(left) == {".lock", "job.json", "squares/00000000.txt", "squares/00000001.txt"}
    with started("slow_squares.py", "squares", tmp_path / "job") as second:
        assert second.communicate("\n" * 2) == ("2\n3\n", "")
    assert contents(tmp_path / "job") == WHOLE


def test_workers_do_not_hold_the_lock(tmp_path):
    """They may live on for a moment when the main process is killed."""
    pytest.importorskip("distributed")
    with started("slow_squares.py", "workers", tmp_path / "job") as first:
        assert first.stdout.readline() == "waiting\n"
        with pytest.raises(BlockingIOError, match=f"by process {first.pid} on"), open_job(tmp_path / "job"):
            pass
        first.kill()
        first.wait()
        with open_job(tmp_path / "job"):
            pass
    assert not (tmp_path / "job").exists()


def test_an_error_releases_the_folder(tmp_path):
    for _ in range(2):
        with pytest.raises(RuntimeError, match="the power went off"), open_job(tmp_path / "new" / "job") as job:
            assert job.is_empty
            with pytest.raises(BlockingIOError, match="is being worked on by process"), open_job(job.path):
                pass
            raise RuntimeError("the power went off")
        assert not (tmp_path / "new").exists()


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "file").touch()
    message = f"expected a folder to write to, but {tmp_path / 'file'} is a file"
    with pytest.raises(NotADirectoryError, match=message), open_job(tmp_path / "file" / "job"):
        pass


def test_another_job_replaces_the_folder(tmp_path):
    with open_job(tmp_path) as job:
        assert job.begun is None
        job.begin({"model": "a"})
        make_chunks(write_text, [("one",)], [job.chunk("texts", 0, "")], [1], what="texts")
    with open_job(tmp_path) as job:
        assert job.begun == {"model": "a"} and not job.is_empty
        job.begin({"model": "a"})
        assert (tmp_path / "texts" / "00000000").read_text() == "one"
        job.begin({"model": "b"})
        assert job.begun == {"model": "b"}
    assert [path.name for path in tmp_path.iterdir()] == ["job.json"]


def write_text(text, path):
    path.write_text(text)


def test_only_missing_chunks_are_made(tmp_path, monkeypatch):
    """The bar counts the others at once, and tasks after the last missing one are not even asked for."""
    advanced, asked = [], []

    @contextlib.contextmanager
    def bar(what, total, *, shown):
        assert (what, total, shown) == ("writing", 15, False)
        yield advanced.append

    def tasks():
        for text in "abcde":
            asked.append(text)
            yield (text,)

    monkeypatch.setattr("electrain.jobs.folder.progress_bar", bar)
    paths = [tmp_path / text for text in "abcde"]
    for present in (0, 2, 4):
        paths[present].write_text("before")
    for _ in range(2):
        make_chunks(write_text, tasks(), paths, [1, 2, 3, 4, 5], what="writing", progress=False)
    assert [path.read_text() for path in paths] == ["before", "b", "before", "d", "before"]
    assert (advanced, asked) == ([9, 2, 4, 15], ["a", "b", "c", "d"])


def test_nothing_to_do_on_dask(tmp_path):
    distributed = pytest.importorskip("distributed")
    (tmp_path / "a").touch()
    with distributed.Client(processes=False, n_workers=1, dashboard_address=":0") as client:
        for names in ("a", "abc"):
            paths = [tmp_path / name for name in names]
            make_chunks(write_text, [(name,) for name in names], paths, [1] * len(names), what="", client=client)
    assert contents(tmp_path) == {"a": b"", "b": b"b", "c": b"c"}


def test_the_example_works(tmp_path, monkeypatch):
    """A third job, as the documentation of the package shows it."""
    monkeypatch.chdir(tmp_path)
    _, begin, rest = electrain.jobs.__doc__.partition("    def predict_chunk")
    example = textwrap.dedent(begin + rest.partition("\n\nIf it is killed")[0])
    names = {
        **{"Path": Path, "Atoms": object, "np": np, "atomically": atomically},
        **{"open_job": open_job, "make_chunks": make_chunks},
        "dask_client": lambda workers, address: contextlib.nullcontext(None),
        "ase": SimpleNamespace(io=SimpleNamespace(read=lambda file, slices: slices)),
        **{"sha256_of": str, "gaps_of": lambda model, structures: [f"{model} of {structures}"]},
        **{"__version__": "1", "model": "PET", "file": "all.xyz", "number": 250},
    }
    exec(example, names)
    assert names["gaps"].tolist() == ["PET of 0:100", "PET of 100:200", "PET of 200:300"]
