"""Data sets that are made in several goes, or by several workers, have the same bytes."""

import functools
import itertools
import os
import re
import shutil
import socket
import time
from pathlib import Path

import pytest
from ase import Atoms
from full_disk import files_up_to
from processes import contents, go_on, kill, started

from electrain.data import chunks, prepare_dataset, work_folder
from electrain.data import prepare as dataset
from electrain.data import writing as formats
from electrain.files.own_files import DamagedFileError
from electrain.files.replacing import remove
from electrain.jobs import folder as job_folder
from electrain.jobs import workers


@pytest.fixture
def sources(make_frame, write_frames, monkeypatch):
    """Two files of 24 structures, one of which is bad and one a copy; chunks of five."""
    monkeypatch.setattr(work_folder, "CHUNK_SIZE", 5)
    frames = []
    for index in range(22):
        names = ["SiC", "GeC", "SiGe", "AlP"][index % 4]
        atoms = Atoms(names, positions=[[0, 0, 0], [1.8, 0.01 * index, 0]], cell=[6, 6, 6], pbc=True)
        frames.append(make_frame(atoms, seed=index, parent=f"p{index // 2}"))
    frames += [make_frame(n_electrons=20.0), frames[3]]
    return [write_frames(frames[:11], "a.xyz"), write_frames(frames[11:], "b.xyz")]


def stop_after(number, function, calls=None):
    """Call a function so many times, then behave as if the process were stopped; several may share their calls."""
    calls = itertools.count() if calls is None else calls

    @functools.wraps(function)
    def stopped(*arguments, **options):
        if next(calls) >= number:
            raise KeyboardInterrupt
        return function(*arguments, **options)

    return stopped


# Ever later in the course of a preparation.
STOPS = [
    (work_folder, "_make_plan", 0),
    (dataset, "read_chunk", 2),
    (chunks, "read_piece", 1),
    (dataset, "write_chunk", 2),
    (formats, "read_samples", 1),
    (dataset, "join_chunks", 1),
    (dataset, "write_report", 0),
    (dataset, "plot_summary", 0),
    (os, "replace", 8),  # three tables and the manifest are written, and four files in their place
]


@pytest.mark.parametrize("form", ["zip", "memmap"])
def test_a_stopped_preparation_ends_with_the_same_bytes(sources, tmp_path, monkeypatch, request, form):
    if form == "memmap":
        request.getfixturevalue("no_summary")  # once is enough
    whole = prepare_dataset(sources, tmp_path / "whole", form=form)
    assert [len(rows) for rows in whole.parts.values()] == [18, 2, 2]
    assert len(whole.rejected) == 2
    if form == "zip":
        time.sleep(2.1)  # entries know the time to two seconds
    for module, name, number in STOPS:
        with monkeypatch.context() as patch:
            patch.setattr(module, name, stop_after(number, getattr(module, name)))
            with pytest.raises(KeyboardInterrupt):
                prepare_dataset(sources, tmp_path / "data", form=form)
        assert (tmp_path / "data" / ".unfinished").is_dir(), name
    prepare_dataset(sources, tmp_path / "data", form=form)
    assert contents(tmp_path / "data") == contents(whole.folder)


def refuse(*_, **__):
    raise AssertionError("done twice")


@pytest.mark.usefixtures("no_summary")
def test_nothing_is_done_twice(sources, tmp_path, monkeypatch):
    calls = []
    read = chunks.read_piece
    with monkeypatch.context() as patch:
        patch.setattr(
            chunks,
            "read_piece",
            lambda piece, *others, **options: (calls.append(piece), read(piece, *others, **options))[1],
        )
        patch.setattr(dataset, "read_chunk", stop_after(2, dataset.read_chunk))
        with pytest.raises(KeyboardInterrupt):
            prepare_dataset(sources, tmp_path / "data")
        patch.setattr(dataset, "read_chunk", chunks.read_chunk)
        patch.setattr(dataset, "join_chunks", stop_after(1, dataset.join_chunks))
        with pytest.raises(KeyboardInterrupt):
            prepare_dataset(sources, tmp_path / "data")
    frames = [(piece.source, piece.first_frame) for piece in calls]
    assert frames == [(0, 0), (0, 5), (0, 10), (1, 0), (1, 5), (1, 10)]
    monkeypatch.setattr(chunks, "read_piece", refuse)
    monkeypatch.setattr(formats, "read_samples", refuse)
    joined = []
    join = dataset.join_chunks
    monkeypatch.setattr(dataset, "join_chunks", lambda *arguments: (joined.append(arguments[1]), join(*arguments)))
    prepare_dataset(sources, tmp_path / "data")
    assert joined == ["validation", "test"]


@pytest.mark.usefixtures("no_summary")
def test_sources_that_changed_meanwhile(sources, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(dataset, "write_chunk", stop_after(0, dataset.write_chunk))
        with pytest.raises(KeyboardInterrupt):
            prepare_dataset(sources, tmp_path / "data")
    sources[1].write_text(sources[1].read_text() + "\n")
    with pytest.raises(FileExistsError, match="expected the settings and files of the unfinished data set in"):
        prepare_dataset(sources, tmp_path / "data")
    prepared = prepare_dataset(sources, tmp_path / "data", overwrite=True)
    assert len(prepared.parts["train"]) == 18


@pytest.mark.usefixtures("no_summary")
def test_an_older_data_set_stays_until_the_new_one_is_complete(sources, tmp_path, monkeypatch):
    old = contents(prepare_dataset(sources[:1], tmp_path / "data").folder)
    with monkeypatch.context() as patch:
        patch.setattr(dataset, "write_manifest", stop_after(0, dataset.write_manifest))
        with pytest.raises(KeyboardInterrupt):
            prepare_dataset(sources, tmp_path / "data", overwrite=True)
    found = contents(tmp_path / "data")
    assert {name: found[name] for name in found if not name.startswith(".unfinished")} == old


@pytest.mark.usefixtures("no_summary")
def test_stopped_while_the_new_data_set_comes_into_its_place(sources, tmp_path, monkeypatch):
    """Wherever it stops, what has a manifest is a whole data set, and the same command, or another, goes on."""
    old = contents(prepare_dataset(sources[:1], tmp_path / "old").folder)
    new = contents(prepare_dataset(sources, tmp_path / "new").folder)
    seen = []
    for number in itertools.count(18):  # until then chunks are read, written and joined
        folder = tmp_path / f"data{number}"
        shutil.copytree(tmp_path / "old", folder)
        with monkeypatch.context() as patch:
            calls = itertools.count()
            for module, name in [(job_folder, "remove"), (work_folder, "remove"), (os, "replace")]:
                patch.setattr(module, name, stop_after(number, getattr(module, name), calls))
            try:
                prepare_dataset(sources, folder, overwrite=True)
            except KeyboardInterrupt:
                pass
            else:
                break
        visible = {path: content for path, content in contents(folder).items() if not path.startswith(".")}
        seen.append("old" if visible == old else "new" if visible == new else "none")
        assert ("manifest.json" in visible) == (seen[-1] != "none")
        if seen[-1] == "none":
            other = tmp_path / f"other{number}"
            shutil.copytree(folder, other)
            with monkeypatch.context() as patch:
                patch.setattr(dataset, "read_chunk", stop_after(1, dataset.read_chunk))
                with pytest.raises(KeyboardInterrupt):
                    prepare_dataset(sources[:1], other, overwrite=True)
            prepare_dataset(sources[:1], other, overwrite=True)
            assert contents(other) == old
        prepare_dataset(sources, folder, overwrite=True)
        assert contents(folder) == new
    assert list(dict.fromkeys(seen)) == ["old", "none", "new"]


@pytest.mark.usefixtures("no_summary")
def test_files_that_came_meanwhile_are_not_replaced(sources, tmp_path, monkeypatch):
    def write(*_):
        (tmp_path / "data" / "report.csv").write_text("mine")

    with monkeypatch.context() as patch:
        patch.setattr(dataset, "plot_summary", lambda *arguments: (arguments[-1].touch(), write()))
        with pytest.raises(ValueError, match=r"which a data set would replace: report\.csv;"):
            prepare_dataset(sources, tmp_path / "data")
    assert (tmp_path / "data" / "report.csv").read_text() == "mine"
    (tmp_path / "data" / "report.csv").unlink()
    prepare_dataset(sources, tmp_path / "data")


SHARES = 8.0, 1.0, 1.0  # as the command line writes them


def prepare_elsewhere(sources, folder, *, stop_before):
    """Prepare in a process of its own, which waits before each call of a function."""
    size = "electrain.data.work_folder.CHUNK_SIZE", 5
    return started("paused_command.py", *size, stop_before, "prepare", *sources, "-o", folder)


def test_two_processes_at_once(sources, tmp_path):
    """The second one stops, whatever it was to do; the first one does not notice."""
    whole = contents(prepare_dataset(sources, tmp_path / "whole", split=SHARES).folder)
    with prepare_elsewhere(sources, tmp_path / "data", stop_before="electrain.data.chunks.read_piece") as first:
        assert first.stdout.readline() == "waiting\n"
        message = rf"data/\.unfinished is being worked on by process {first.pid} on {socket.gethostname()}"
        for settings in ({}, {"overwrite": True}, {"overwrite": True, "seed": 1}):
            with pytest.raises(BlockingIOError, match=message):
                prepare_dataset(sources, tmp_path / "data", split=SHARES, **settings)
        _, errors = first.communicate("\n" * 6)
        assert (first.returncode, errors) == (0, "")
    assert contents(tmp_path / "data") == whole


@pytest.mark.parametrize("stop_before", ["electrain.data.chunks.read_piece", "electrain.data.writing.read_samples"])
def test_killed_and_continued(sources, tmp_path, stop_before):
    whole = contents(prepare_dataset(sources, tmp_path / "whole", split=SHARES).folder)
    with prepare_elsewhere(sources, tmp_path / "data", stop_before=stop_before) as first:
        assert first.stdout.readline() == go_on(first) == go_on(first) == "waiting\n"
        kill(first)
    assert (tmp_path / "data" / ".unfinished" / ".lock").exists()
    prepare_dataset(sources, tmp_path / "data", split=SHARES)
    assert contents(tmp_path / "data") == whole


@pytest.fixture
def threads(monkeypatch):
    """Let Dask run in threads of this process, which start faster than processes."""
    distributed = pytest.importorskip("distributed")
    local = functools.partial(distributed.LocalCluster, processes=False)
    monkeypatch.setattr(distributed, "LocalCluster", local)
    return local


@pytest.mark.usefixtures("no_summary")
def test_workers_write_the_same_bytes(sources, tmp_path, threads):
    alone = prepare_dataset(sources, tmp_path / "alone", form="zip")
    together = prepare_dataset(sources, tmp_path / "together", form="zip", workers=3)
    assert contents(together.folder) == contents(alone.folder)
    with threads(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        prepare_dataset(sources, tmp_path / "elsewhere", form="zip", scheduler=cluster.scheduler_address)
    assert contents(tmp_path / "elsewhere") == contents(alone.folder)


def test_an_error_in_a_worker_arrives(sources, tmp_path, threads, monkeypatch):
    def fail(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr(chunks, "_save", fail)
    with pytest.raises(OSError, match="no space left on device"):
        prepare_dataset(sources, tmp_path / "data", workers=2)


def test_a_worker_with_another_version(sources, tmp_path, threads, monkeypatch):
    monkeypatch.setattr(workers, "_version", lambda: "0.0.1")
    with (
        threads(n_workers=1, dashboard_address=":0") as cluster,
        pytest.raises(ValueError, match=r"expected electrain .* on every Dask worker, got 0\.0\.1 on "),
    ):
        prepare_dataset(sources, tmp_path / "data", scheduler=cluster.scheduler_address)


@pytest.mark.usefixtures("no_summary")
@pytest.mark.parametrize("form", ["zip", "memmap"])
def test_damaged_files_of_an_unfinished_data_set(sources, tmp_path, monkeypatch, form):
    """Each is named with what to do about it, and that helps."""
    whole = contents(prepare_dataset(sources, tmp_path / "whole", form=form).folder)
    with monkeypatch.context() as patch:
        patch.setattr(dataset, "join_chunks", stop_after(0, dataset.join_chunks))
        with pytest.raises(KeyboardInterrupt):
            prepare_dataset(sources, tmp_path / "data", form=form)
    work = tmp_path / "data" / ".unfinished"
    part = next((work / "written").glob(f"*-{form}/train*"))
    for path, remedy in (
        (work / "read" / "00000001.npz", "delete it and run the same command to read its calculations again"),
        (
            part / "na.npy" if part.is_dir() else part,
            f"delete {part.parent} and run the same command to write it again",
        ),
    ):
        path.write_text("text")
        with pytest.raises(DamagedFileError, match=f"is damaged: expected .*; {remedy}$") as error:
            prepare_dataset(sources, tmp_path / "data", form=form)
        assert str(path if path.suffix == ".npz" else part) in str(error.value)
        remove(path if path.suffix == ".npz" else part.parent)
    for name in ("plan.json", "job.json"):
        content = (work / name).read_text()
        (work / name).write_text(content[:-1])
        with pytest.raises(DamagedFileError, match=f"{name} is damaged: .*; delete the folder {work} to start again"):
            prepare_dataset(sources, tmp_path / "data", form=form)
        (work / name).write_text(content)
    prepare_dataset(sources, tmp_path / "data", form=form)
    assert contents(tmp_path / "data") == whole


@pytest.mark.usefixtures("no_summary")
def test_a_full_disk(sources, tmp_path):
    """What has no room is named, nothing half written is left, and calculations are not dropped because of it."""
    whole = contents(prepare_dataset(sources, tmp_path / "whole").folder)
    failed = []
    for size in (round(100 * 1.1**step) for step in range(100)):
        try:
            with files_up_to(size):
                prepare_dataset(sources, tmp_path / "data")
        except OSError as error:
            failed.append(re.search(r"^cannot write (.*): ", str(error))[1])
            left = [name.removeprefix(".unfinished/") for name in contents(tmp_path / "data")]
            assert not [name for name in left if ".unfinished" in name]
        else:
            break
    names = {Path(name).name for name in failed}
    assert {"frames.xyz", "00000000.npz", "00000000-xyz", "train.xyz"} <= names
    assert contents(tmp_path / "data") == whole
