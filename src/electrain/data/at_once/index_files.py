"""A split that is given in files: numbers of rows, one in each line."""

from collections.abc import Sequence
from pathlib import Path

from ..splits import PARTS, Split


def split_of_files(files: Sequence[Path], rows: Sequence[int], num_rows: int) -> Split:
    """Split as in index files.

    :param files: of the training, validation and test set.
    :param rows: number of the row of each structure; those of unusable rows are missing.
    :param num_rows: number of all rows.
    :raises ValueError: for a line that is no number, a number that no row has, or one that occurs twice.
    :raises OSError: if a file cannot be read.
    """
    number_of_row = {row: number for number, row in enumerate(rows)}
    seen: dict[int, Path] = {}
    parts = []
    for file in files:
        indices = _read(file)
        for index in indices:
            if not 0 <= index < num_rows:
                raise ValueError(
                    f"expected numbers of the {num_rows} rows in {file}, 0 to {num_rows - 1}, got {index}; remove it, "
                    "if it is that of a row that was left out of the table"
                )
            if index in seen:
                raise ValueError(
                    f"expected row {index} once in the files of a split, got it in {seen[index]} and {file}"
                )
            seen[index] = file
        parts.append(sorted(number_of_row[index] for index in indices if index in number_of_row))
    train, validation, test = parts
    for part, numbers in zip(PARTS[:2], (train, validation), strict=True):
        if not numbers:
            raise ValueError(f"expected at least one usable structure in the {part} set of the given split, got none")
    return Split(train, validation, test, "given")


def _read(file: Path) -> list[int]:
    numbers = []
    for count, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip():
            try:
                numbers.append(int(line))
            except ValueError:
                raise ValueError(f"expected the number of a row in line {count} of {file}, got {line!r}") from None
    return numbers
