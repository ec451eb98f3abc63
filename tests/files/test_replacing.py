"""Files and folders that are complete or do not exist, and errors that name them."""

import errno
import os
import stat

import pytest

from electrain.files.replacing import WriteError, atomically, naming, replacing


@pytest.mark.parametrize("writing", [atomically, replacing])
@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "cannot write {path}: No space left on device"),
        (OSError("800 requested and 0 written"), "cannot write {path}: 800 requested and 0 written"),
        (OSError(errno.EACCES, "Permission denied", "other.txt"), "[Errno 13] Permission denied: 'other.txt'"),
        (FileExistsError("expected a new folder"), "expected a new folder"),
        (ValueError("expected a number"), "expected a number"),
        (KeyboardInterrupt("stop"), "stop"),
    ],
)
def test_after_an_error_all_is_as_before(tmp_path, writing, error, message):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(type(error)) as raised, writing(path) as temporary:
        temporary.write_text("half")
        raise error
    assert str(raised.value) == message.format(path=path)
    assert isinstance(raised.value, WriteError) == ("cannot write" in message)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


def test_a_temporary_file_is_not_named(tmp_path):
    for path, reason in (
        (tmp_path / "no" / "a.txt", "No such file or directory"),
        (tmp_path / ("a" * 300), "too long"),
    ):
        with pytest.raises(WriteError, match=rf"^cannot write {path}: .*{reason}"), replacing(path):
            pass
    with pytest.raises(WriteError) as raised, atomically(tmp_path / "folder") as temporary:
        temporary.mkdir()
        (temporary / "no" / "file").touch()
    assert str(raised.value) == f"cannot write {tmp_path / 'folder'}: No such file or directory"
    assert raised.value.errno == errno.ENOENT
    assert list(tmp_path.iterdir()) == []


def test_the_innermost_name_counts():
    error = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(WriteError) as raised, naming("a.txt"), naming("standard output"):
        raise error
    assert str(raised.value) == "cannot write standard output: No space left on device"
    with pytest.raises(BrokenPipeError), naming("a.txt"):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def test_permissions_are_the_usual_ones(tmp_path):
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "a.txt") as temporary:
            temporary.write_text("text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640
