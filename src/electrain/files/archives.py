"""What checkpoints and exported models have in common: both are zip archives that torch writes."""

import zipfile
from pathlib import Path


def archive_entries(path: Path, kind: str, expected: str, error: type[ValueError]) -> set[str]:
    """Return the paths in an archive, relative to its only folder.

    :param kind: what the file should be, such as ``"checkpoint"``.
    :param expected: the same in more words, for messages about folders and other files.
    :raises FileNotFoundError: if there is no such file.
    :raises ValueError: ``error``, for a folder or a file that is not an archive.
    """
    if not path.exists():
        raise FileNotFoundError(f"the {kind} file {path} does not exist")
    if path.is_dir():
        raise error(f"{path} is a folder; expected {expected}")
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.partition("/")[2] for name in archive.namelist()}
    except zipfile.BadZipFile:
        raise error(f"{path} is not a {kind}, or incomplete; expected {expected}") from None
