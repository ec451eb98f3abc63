"""Between the passes: the plan of a data set, made from the table of everything that was read."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from electrain.interface.quantities import in_data_sets
from electrain.spectra.axis import EnergyAxis
from electrain.structures.crystal_systems import crystal_system

from .axis import AxisSettings
from .chunks import read_samples, read_table
from .kind_splits import CRYSTAL_SYSTEM, KindSplit, split_by_kind
from .settings import Settings
from .sources import Damage, has_frames
from .splits import PARTS, Split, given_split, split_identities
from .table import Dropped, Row, duplicates
from .targets import ELECTRONIC
from .valence import spin_polarized, valence_electrons
from .writing import Place, format_for


@dataclass(frozen=True)
class SourceFile:
    """A file that contains calculations.

    :param name: path relative to the common folder of all sources.
    :param sha256: SHA-256 of its content.
    :param num_frames: number of all frames in it, used or not.
    """

    name: str
    sha256: str
    num_frames: int

    def frame_name(self, frame: int) -> str:
        """Return the name of one of its frames."""
        is_only = self.num_frames == 1 and not has_frames(Path(self.name))
        return self.name if is_only else f"{self.name}, frame {frame}"


@dataclass(frozen=True)
class Found:
    """Everything that was read, in the order of the sources.

    :param rows: rows of the usable structures.
    :param chunks: chunk of each row and the row's index in it.
    :param dropped: all other frames.
    :param num_frames: number of frames in each source.
    :param hashes: SHA-256 of each source that is not an extended XYZ file.
    """

    rows: list[Row]
    chunks: list[tuple[int, int]]
    dropped: list[Dropped]
    num_frames: Counter[int]
    hashes: dict[int, str]


@dataclass(frozen=True)
class DatasetPlan:
    """The plan of a data set: its structures, their part of the split, and the quantities.

    :param rows: all structures of the set, in the order of the sources.
    :param chunks: chunk of each row and the row's index in it.
    :param dropped: all frames that are left out.
    :param axis: the energy axis.
    :param split: indices into ``rows``.
    :param contents: names of the quantities to write in addition to the electronic ones: those that any structure has.
    :param form: format of the files.
    :param num_missing_bands: number of structures in the set that cannot be trusted up to their Fermi level.
    """

    rows: list[Row]
    chunks: list[tuple[int, int]]
    dropped: list[Dropped]
    axis: EnergyAxis
    split: Split
    contents: tuple[str, ...]
    form: str
    num_missing_bands: int

    def parts(self) -> dict[str, list[int]]:
        """Indices of the rows of every part that is written; a part that repeats another one is not."""
        parts = {part: getattr(self.split, part) for part in PARTS}
        if self.split.validates_on_training_set:
            parts["validation"] = []
        return {part: indices for part, indices in parts.items() if indices}

    def places(self, num_chunks: int) -> list[list[Place]]:
        """Return where the structures of each chunk go."""
        places: list[list[Place]] = [[] for _ in range(num_chunks)]
        for part, indices in self.parts().items():
            for number, index in enumerate(indices):
                chunk, row = self.chunks[index]
                places[chunk].append(Place(row, part, number))
        for of_chunk in places:
            of_chunk.sort()
        return places


def collect(paths: Sequence[Path], damages: Sequence[Damage]) -> Found:
    """Read the tables of all chunks."""
    found = Found([], [], [Dropped(*damage) for damage in damages], Counter(), {})
    found.num_frames.update(damage.source for damage in damages)
    for chunk, path in enumerate(paths):
        table = read_table(path)
        found.chunks.extend((chunk, index) for index in range(len(table.rows)))
        found.rows.extend(table.rows)
        found.dropped.extend(table.dropped)
        for source, (number, sha256) in table.num_frames.items():
            found.num_frames[source] += number
            if sha256 is not None:
                found.hashes[source] = sha256
    return found


def place_by_kind(found: Found, paths: Sequence[Path], kinds: KindSplit, seed: int) -> None:
    """Write the parts of a split out of distribution into the identities of the rows; some are left out.

    :param found: everything that was read; changed in place.
    :param paths: files of the chunks.
    :param kinds: what the split goes by.
    :param seed: random seed of the halves that are held out.
    :raises ValueError: if there is nothing to train on or nothing else.
    """
    systems: list[str | None] = [None] * len(found.rows)
    if kinds.by == CRYSTAL_SYSTEM:
        samples = chain.from_iterable(read_samples(path, read_table(path).rows) for path in paths)
        systems = [crystal_system(sample.atoms) for sample in samples]
    placed = split_by_kind([row.identity for row in found.rows], systems, kinds, seed=seed)
    reasons = {index: one.reason for index, one in enumerate(placed) if one.part is None}
    for index, one in enumerate(placed):
        row = found.rows[index]
        found.rows[index] = row._replace(identity=row.identity._replace(part=one.part))
    found.rows[:], found.chunks[:] = _without(found.rows, found.chunks, found.dropped, reasons)


def plan_dataset(found: Found, settings: Settings, files: Sequence[SourceFile]) -> DatasetPlan | list[Dropped]:
    """Drop structures that cannot be used in one set; choose axis, split and format.

    :return: the plan, or, if no structure is left, the dropped frames.
    :raises ValueError: if the format cannot represent the set.
    """
    dropped = list(found.dropped)
    rows, chunks = _without(found.rows, found.chunks, dropped, _unfit(found.rows, settings))
    rows, chunks = _without(rows, chunks, dropped, _copies(rows, settings, files))
    if settings.shares is None and not any(row.identity.part == "train" for row in rows):
        reason = "expected usable structures whose split is train in the same set, got none"
        rows, chunks = _without(rows, chunks, dropped, dict.fromkeys(range(len(rows)), reason))
    dropped.sort(key=lambda frame: (frame.source, frame.frame))
    if not rows:
        return dropped
    identities = [row.identity for row in rows]
    if settings.shares is None:
        split = given_split(identities, "given" if settings.kinds is None else "parent or formula")
    else:
        split = split_identities(identities, shares=settings.shares, seed=settings.seed)
    plan = DatasetPlan(
        rows=rows,
        chunks=chunks,
        dropped=dropped,
        axis=replace(
            _axis(rows, settings.axis), valence_electrons=valence_electrons(rows), spin_polarized=spin_polarized(rows)
        ),
        split=split,
        contents=_contents(rows),
        form=settings.form or format_for(len(rows)),
        num_missing_bands=sum(row.highest < 0 for row in rows),
    )
    _check_memmap(plan)
    return plan


def _contents(rows: Sequence[Row]) -> tuple[str, ...]:
    known = {name for row in rows for name in row.known}
    return tuple(
        quantity.name
        for quantity in in_data_sets()
        if quantity.name in known - set(ELECTRONIC)
        # metatrain reads forces and stress as gradients of the energy.
        and (quantity.gradient_of is None or quantity.gradient_of in known)
    )


def _axis(rows: Sequence[Row], settings: AxisSettings) -> EnergyAxis:
    return settings.axis(min(row.lowest for row in rows), max(row.highest for row in rows))


def _unfit(rows: Sequence[Row], settings: Settings) -> dict[int, str]:
    """Rows that lack bands, have states below the chosen grid or are in no part of a given split, with the reasons."""
    reasons = {}
    is_given = settings.axis.targets is not None
    lowest = _axis(rows, settings.axis).lowest_state if is_given and rows else None
    for index, row in enumerate(rows):
        if settings.missing_bands == "drop" and row.highest < 0:
            reasons[index] = (
                "expected a density of states that can be trusted up to the Fermi level, got one that ends "
                f"{row.highest:.2f} eV from it"
                if row.is_sampled
                else "expected enough bands to trust the density of states up to the Fermi level, got "
                f"{row.num_bands} that can be trusted up to {row.highest:.2f} eV from it"
            )
        elif lowest is not None and row.lowest < lowest - 1e-6 * settings.axis.step:
            reasons[index] = (
                f"expected no state below {lowest:.2f} eV (from the Fermi level), where the chosen grid has no room "
                f"for it, got one at {row.lowest:.2f} eV"
            )
        elif settings.shares is None and row.identity.part not in PARTS:
            got = "none" if row.identity.part is None else repr(row.identity.part)
            reasons[index] = f"expected the key 'split' to be {', '.join(PARTS[:-1])} or {PARTS[-1]}, got {got}"
    return reasons


def _copies(rows: Sequence[Row], settings: Settings, files: Sequence[SourceFile]) -> dict[int, str]:
    """Rows that duplicate the structure of another row, and the reasons."""
    is_given = settings.shares is None
    reasons = {}
    for index, original in duplicates(rows, split_is_given=is_given).items():
        row = rows[original]
        where = f" of the {row.identity.part} set" if is_given else ""
        reasons[index] = f"the same structure as {files[row.source].frame_name(row.frame)}{where}"
    return reasons


def _without(
    rows: list[Row], chunks: list[tuple[int, int]], dropped: list[Dropped], reasons: dict[int, str]
) -> tuple[list[Row], list[tuple[int, int]]]:
    dropped.extend(Dropped(rows[index].source, rows[index].frame, reason) for index, reason in reasons.items())
    kept = [index for index in range(len(rows)) if index not in reasons]
    return [rows[index] for index in kept], [chunks[index] for index in kept]


def _check_memmap(plan: DatasetPlan) -> None:
    """Refuse parts with as many atoms as structures: metatrain would take every target for one per atom."""
    if plan.form != "memmap":
        return
    for part, indices in plan.parts().items():
        if all(plan.rows[index].num_atoms == 1 for index in indices):
            raise ValueError(
                f"expected a structure of more than one atom in the {part} set, which metatrain's memory-mapped "
                "format needs; choose another format"
            )
