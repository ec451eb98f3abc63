"""Reading structures from files."""

from electrain.structures.files import Unreadable, path_of, read_structures

FRAME = "1\n\nH 0 0 0\n"


def test_frames_after_the_selected_ones_are_not_looked_at(tmp_path):
    """A selection from the beginning of a long trajectory takes no time, whatever comes at its end."""
    path = tmp_path / "md.xyz"
    path.write_text(4 * FRAME + "999999999\n\nH 0 0 0\n")
    names = [found[0] for found in read_structures(f"{path}@0:3")]
    assert names == [f"{path}, frame {index}" for index in range(3)]
    assert [found[0] for found in read_structures(f"{path}@1")] == [f"{path}, frame 1"]
    for selection in ("", "@-1", "@1:", "@0:4", "@0:5"):
        (found,) = read_structures(f"{path}{selection}")
        assert isinstance(found, Unreadable) and "expected at most 1,000,000 atoms in a frame" in found.reason


def test_names_with_an_at_sign(tmp_path):
    path = tmp_path / "Pt@C60.xyz"
    path.write_text(2 * FRAME)
    assert [found[0] for found in read_structures(str(path))] == [f"{path}, frame 0", f"{path}, frame 1"]
    assert path_of(str(path)) == str(path)
    (found,) = read_structures(f"{path}@1")
    assert found[0] == f"{path}, frame 1"
    path.write_text(FRAME)
    (found,) = read_structures(str(path))
    assert found[0] == str(path)


def test_what_is_no_structure(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "folder").mkdir()
    for name, reason in (
        ("notes.txt", "not in a format that ASE knows (txt)"),
        ("folder", "a folder that ASE cannot read; expected a file"),
        ("missing.cif", "no such file"),
    ):
        assert list(read_structures(str(tmp_path / name))) == [Unreadable(str(tmp_path / name), reason)]
