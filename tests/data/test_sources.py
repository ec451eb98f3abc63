"""Files of calculations, and how they are cut into pieces of work."""

import lzma
from pathlib import Path

import pytest

from electrain.data import Calculation, read_extended_xyz, sources
from electrain.data.sources import Source, cut_into_pieces, find_sources, read_piece


@pytest.fixture
def cut(tmp_path):
    """Cut a file; gives the pieces, what is wrong with it, and all that is read from the pieces."""

    temporary = tmp_path / "temporary"
    temporary.mkdir()

    def cut_and_read(path, size):
        source = Source(str(path), path.name)
        pieces, damages = cut_into_pieces(7, source, tmp_path / "unpacked", size)
        return pieces, damages, [frame for piece in pieces for frame in read_piece(piece, path.name, temporary)]

    return cut_and_read


@pytest.fixture
def seven(make_frame, write_frames):
    """A file of seven frames."""
    return write_frames([make_frame(seed=seed) for seed in range(7)])


def names(frames):
    return [frame.name if isinstance(frame, Calculation) else frame.reason for frame in frames]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("blank_lines", ["", "\n", "\r\n\n"])
def test_pieces_hold_all_frames_in_order(seven, cut, size, blank_lines):
    text = seven.read_bytes().replace(b"\n2\n", b"\n" + blank_lines.encode() + b"2\n") + blank_lines.encode()
    seven.write_bytes(text)
    pieces, damages, frames = cut(seven, size)
    assert names(frames) == names(read_extended_xyz(seven)) == [f"frame-{i}" for i in range(7)]
    assert [piece.first_frame for piece in pieces] == list(range(0, 7, size))
    assert [piece.num_frames for piece in pieces] == [min(size, 7 - i) for i in range(0, 7, size)]
    assert {piece.source for piece in pieces} == {7}
    assert damages == []


@pytest.mark.parametrize("size", [2, 3, 100])
def test_a_broken_count_ends_a_file(seven, cut, size):
    lines = seven.read_text().splitlines(keepends=True)
    lines[4 * 4] = "two\n"
    seven.write_text("".join(lines))
    pieces, _, frames = cut(seven, size)
    assert names(frames) == names(read_extended_xyz(seven))
    assert names(frames)[4:] == ["expected a number of atoms, got 'two'; the rest is not read"]
    assert pieces[-1].first_frame == 4


@pytest.mark.parametrize("size", [2, 3, 100])
def test_a_file_that_ends_too_early(seven, cut, size):
    seven.write_text("".join(seven.read_text().splitlines(keepends=True)[:-1]))
    assert names(cut(seven, size)[2]) == names(read_extended_xyz(seven))


def test_a_file_that_cannot_be_opened(tmp_path, cut):
    pieces, (damage,), _ = cut(tmp_path / "vanished.xyz", 3)
    assert (pieces, damage.reason) == ([], "cannot be opened (No such file or directory)")


def test_an_empty_file(tmp_path, cut):
    (tmp_path / "empty.xyz").touch()
    assert names(cut(tmp_path / "empty.xyz", 3)[2]) == ["expected at least one frame, got an empty file"]


def test_names_in_another_encoding_cost_no_frame(seven, cut):
    seven.write_bytes(seven.read_bytes().replace(b"frame-2", b"frame-\xff"))
    *_, frames = cut(seven, 3)
    assert names(frames) == ["frame-0", "frame-1", "frame-\ufffd", *(f"frame-{i}" for i in range(3, 7))]


def test_a_count_of_too_many_digits(seven, cut):
    seven.write_bytes(seven.read_bytes() + b"9" * 5000 + b"\n")
    *_, frames = cut(seven, 3)
    assert names(frames)[6] == "frame-6"
    assert names(frames)[7].startswith("expected a number of atoms, got '9999")


def test_a_byte_order_mark_and_endings_in_upper_case(seven, tmp_path, cut):
    packed = tmp_path / "PACKED.XYZ.XZ"
    packed.write_bytes(lzma.compress(b"\xef\xbb\xbf" + seven.read_bytes()))
    assert names(cut(packed, 3)[2]) == names(read_extended_xyz(packed)) == [f"frame-{i}" for i in range(7)]


def test_a_file_in_two_ways(seven, monkeypatch):
    (seven.parent / "deep").mkdir()
    monkeypatch.chdir(seven.parent / "deep")
    assert len(find_sources([Path(".."), seven])) == 1


def test_compressed_files(seven, tmp_path, cut):
    packed = tmp_path / "packed.xyz.xz"
    packed.write_bytes(lzma.compress(seven.read_bytes()))
    assert names(cut(packed, 3)[2]) == [f"frame-{i}" for i in range(7)]


def test_a_file_is_unpacked_as_a_whole(seven, tmp_path, cut, monkeypatch):
    """Nobody finds half of it, even if unpacking stops in the middle."""
    packed, target = tmp_path / "packed.xyz.xz", tmp_path / "unpacked"
    packed.write_bytes(lzma.compress(seven.read_bytes()))
    monkeypatch.setattr(sources, "_BLOCK", 1000)

    class Stopped(lzma.LZMAFile):
        def read(self, size=-1):
            assert not target.exists()
            if self.tell() > 3000:
                raise KeyboardInterrupt
            return super().read(size)

    with monkeypatch.context() as patch:
        patch.setattr(sources, "open_packed", Stopped)
        with pytest.raises(KeyboardInterrupt):
            cut(packed, 3)
    assert not target.exists()
    assert names(cut(packed, 3)[2]) == [f"frame-{i}" for i in range(7)]
    assert target.read_bytes() == seven.read_bytes()


def test_damaged_compressed_files(make_frame, write_frames, tmp_path, cut):
    path = write_frames([make_frame(seed=seed) for seed in range(300)])
    packed = tmp_path / "packed.xyz.xz"
    whole = lzma.compress(path.read_bytes())
    packed.write_bytes(whole[: len(whole) // 2])
    _, (damage,), frames = cut(packed, 10)
    assert (damage.source, damage.frame) == (7, len(frames))
    assert damage.reason.startswith("expected text, but the file is damaged or has another format")
    packed.write_bytes(b"no such thing")
    assert cut(packed, 10)[1][0].frame == 0


def test_a_reader_that_fails(seven, tmp_path, monkeypatch):
    def fail(path, **_):
        yield from list(read_extended_xyz(path))[:2]
        raise KeyError("kpoints")

    monkeypatch.setattr("electrain.data.sources.read_calculations", fail)
    (tmp_path / "temporary").mkdir()
    (piece,), _ = cut_into_pieces(0, Source(str(seven), seven.name), tmp_path / "unpacked", 10)
    frames = list(read_piece(piece, seven.name, tmp_path / "temporary"))
    assert names(frames)[:3] == ["frame-0", "frame-1", "not readable (KeyError: 'kpoints')"]
    assert names(frames)[3:] == ["not read: the text before it is damaged"] * 4


def test_finding_files(tmp_path):
    for name in ("b/2.xyz", "b/1.extxyz", "b/deep/3.xyz.gz", "b/notes.txt", "a.xyz", "b/.hidden/4.xyz"):
        path = tmp_path / "runs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = find_sources([tmp_path / "runs" / "b", tmp_path / "runs" / "a.xyz", tmp_path / "runs" / "b" / "2.xyz"])
    assert [source.name for source in found] == ["b/1.extxyz", "b/2.xyz", "b/deep/3.xyz.gz", "a.xyz"]
    assert all(Path(source.path).is_absolute() for source in found)
    with pytest.raises(FileNotFoundError, match="expected a DFT output file or a folder of them, but"):
        find_sources([tmp_path / "nothing"])
