"""Reading structures from files."""

from electrain.structures.files import Unreadable, read_structures

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
