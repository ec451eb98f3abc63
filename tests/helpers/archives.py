"""Changing archives of torch: damaged ones, and ones with other contents."""

import zipfile
from pathlib import Path


def flip(path: Path, entry: str, target: Path) -> Path:
    """Write a copy in which one bit, in the middle of an entry, is flipped."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = next(info for info in archive.infolist() if info.filename.partition("/")[2] == entry)
    header = info.header_offset
    lengths = [int.from_bytes(content[header + i : header + i + 2], "little") for i in (26, 28)]
    middle = min(info.compress_size // 2 | 7, info.compress_size - 1)  # the exponent of a number in float64
    content[header + 30 + sum(lengths) + middle] ^= 64
    target.write_bytes(content)
    return target


def replace(path: Path, entries: dict[str, bytes], target: Path) -> Path:
    """Write a copy in which some entries have other contents."""
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(target, "w") as copy:
        for info in archive.infolist():
            content = entries.get(info.filename.partition("/")[2])
            copy.writestr(info.filename, archive.read(info) if content is None else content)
    return target
