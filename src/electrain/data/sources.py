"""Reading whole files of calculations, and keeping account of them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from .calculation import Calculation
from .extended_xyz import Rejected, read_extended_xyz


@dataclass(frozen=True)
class SourceFile:
    """A file that calculations came from.

    :param name: of the file, without its folder.
    :param sha256: of its content.
    :param num_frames: all frames in it, used or not.
    """

    name: str
    sha256: str
    num_frames: int


@dataclass(frozen=True)
class Collection:
    """What was found in some files.

    :param calculations: those that passed the checks.
    :param rejected: the others.
    :param files: the files themselves.
    """

    calculations: list[Calculation]
    rejected: list[Rejected]
    files: list[SourceFile]


def read_sources(paths: Sequence[Path], *, progress: bool = False) -> Collection:
    """Read extended XYZ files, see :func:`electrain.data.extended_xyz.read_extended_xyz`.

    :param paths: the files, in order.
    :param progress: show a progress bar on a terminal.
    :raises OSError: if a file cannot be opened.
    """
    calculations: list[Calculation] = []
    rejected: list[Rejected] = []
    files = []
    for path in paths:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        num_frames = 0
        frames = read_extended_xyz(path)
        for frame in tqdm(frames, desc=f"reading {path.name}", unit=" frames", disable=None if progress else True):
            num_frames += 1
            if isinstance(frame, Rejected):
                rejected.append(frame)
            else:
                calculations.append(frame)
        files.append(SourceFile(path.name, sha256, num_frames))
    return Collection(calculations, rejected, files)
