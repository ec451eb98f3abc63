"""The folder in which a data set is built, so that a killed preparation can continue where it stopped."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from electrain import __version__
from electrain.files.own_files import expecting, read_json
from electrain.files.replacing import atomically, remove
from electrain.interface import manifests
from electrain.jobs.folder import JobFolder

from .sources import Damage, Piece, Source, cut_into_pieces, has_frames
from .splits import PARTS
from .writing import FORMATS, part_name

NAME = ".unfinished"
MANIFEST = manifests.MANIFEST
REPORT = "report.csv"
SOURCES = "sources.csv"
STRUCTURES = "structures.csv"
OPTIONS = "options.yaml"
FIGURE = "summary.png"
_DOCUMENTS = (OPTIONS, STRUCTURES, SOURCES, REPORT, FIGURE, MANIFEST)
_ALL_NAMES = (*(part_name(part, form) for form in FORMATS for part in PARTS), *_DOCUMENTS)

# Number of structures in a chunk: lost when a process is killed, and in memory at one time.
CHUNK_SIZE = 100

Plan = tuple[list[list[Piece]], list[Damage]]


class WorkFolder:
    """The unfinished data set, in a hidden folder inside the output folder.

    :param job: job in the hidden folder.
    :param settings: settings that determine the content of the data set, by their ``repr``.
    :param sources: files from which it is made.
    :param overwrite: whether to replace a data set, or the preparation of another one, in the folder.
    :raises FileExistsError: if there are files in the folder.
    :raises ValueError: if files would be replaced that are a source or do not belong to a data set.
    """

    def __init__(self, job: JobFolder, settings: object, sources: Sequence[Source], *, overwrite: bool) -> None:
        self.folder = job.path.parent
        self._job = job
        self._sources = sources
        fingerprint = _fingerprint(settings, sources)
        is_other = job.begun != fingerprint
        if is_other and self.is_ready:
            self._finish()  # another data set, which is complete
        if is_other and not overwrite:
            if any(job.path.glob("read/*.npz")):
                raise FileExistsError(
                    f"expected the settings and files of the unfinished data set in {self.folder} to continue it, "
                    "but they differ or have changed"
                )
            if any(path.name != NAME for path in self.folder.iterdir()):
                raise FileExistsError(f"expected a new or empty folder, but there are files in {self.folder}")
        if not self.is_ready:
            self._older_data_set()
        job.begin(fingerprint)

    def plan(self) -> Plan:
        """Cut the sources into chunks of work, once for each data set."""
        path = self._job.path / "plan.json"
        if not path.exists():
            unpacked = self._job.path / "unpacked"
            unpacked.mkdir(exist_ok=True)
            chunks, damages = _make_plan(self._sources, unpacked)
            with atomically(path) as unfinished:
                unfinished.write_text(json.dumps([chunks, damages]))
        with expecting("the plan of a data set", path, self._remedy):
            chunks, damages = json.loads(path.read_text())
            return [[Piece(*piece) for piece in chunk] for chunk in chunks], [Damage(*damage) for damage in damages]

    def chunk(self, index: int) -> Path:
        """Return the file for what was read of a chunk."""
        return self._job.chunk("read", index, ".npz")

    def written(self, index: int, form: str) -> Path:
        """Return the folder for the targets of a chunk."""
        return self._job.chunk("written", index, f"-{form}")

    def final(self, name: str) -> Path:
        """Return where a file of the data set is kept until all are complete."""
        return self._job.path / "final" / name

    @property
    def is_ready(self) -> bool:
        """Whether all files of the data set are written."""
        return self._job.begun is not None and self._ready.exists()

    @property
    def _remedy(self) -> str:
        return f"delete the folder {self._job.path} to start again"

    @property
    def _ready(self) -> Path:
        return self._job.path / "ready.json"

    def publish(self, names: Sequence[str]) -> None:
        """Move the finished data set into place and remove everything else that was made for it.

        :param names: names of all its files and folders, the manifest last; if it exists, the data set is complete.
        :raises ValueError: if files would be replaced that are a source or do not belong to a data set.
        """
        if not self.is_ready:
            with atomically(self._ready) as unfinished:
                unfinished.write_text(json.dumps({"older": self._older_data_set(), "new": list(names)}))
        self._finish()

    def _finish(self) -> None:
        """Move everything that is ready, or the rest of it, into place."""
        names = read_json("the names of files that are ready", self._ready, self._remedy)
        if self.final(MANIFEST).exists():
            remove(self.folder / MANIFEST)  # from here on the older data set no longer exists
        for name in set(names["older"]) - set(names["new"]):
            remove(self.folder / name)
        for name in names["new"]:
            if self.final(name).exists():  # otherwise it was moved before an interruption
                remove(self.folder / name)
                os.replace(self.final(name), self.folder / name)
        self._job.clear()

    def _older_data_set(self) -> list[str]:
        """Return the names of the files of the data set in the folder.

        :raises ValueError: if other files have such names, which must not be removed, or a source is among them.
        """
        older = _names_of_data_set(self.folder)
        others = [name for name in _ALL_NAMES if name not in older and (self.folder / name).exists()]
        if others:
            raise ValueError(
                f"{self.folder} contains files not written by `electrain prepare`, which a data set would replace: "
                f"{', '.join(others)}; move them or choose another folder"
            )
        places = {name: (self.folder / name).resolve() for name in older}
        for source in self._sources if older else ():
            path = Path(source.path).resolve()
            for name, place in places.items():
                if place == path or place in path.parents:
                    raise ValueError(f"expected another output folder, because {name} would replace the source {path}")
        return older

    def discard(self) -> None:
        """Remove everything that was made so far."""
        self._job.clear()


def _names_of_data_set(folder: Path) -> list[str]:
    """Names of the files of the data set in a folder; none without a manifest written by electrain."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    form = manifest.get("format") if isinstance(manifest, dict) and "electrain_version" in manifest else None
    if form not in FORMATS:
        return []
    return [*(part_name(part, form) for part in PARTS), *_DOCUMENTS]


def _fingerprint(settings: object, sources: Sequence[Source]) -> dict[str, Any]:
    """What must be unchanged for an unfinished preparation to continue."""
    digest = hashlib.sha256()
    for source in sources:
        status = os.stat(source.path)
        digest.update(os.fsencode(f"{source.path}\0{source.name}\0{status.st_size}\0{status.st_mtime_ns}\n"))
    return {"electrain_version": __version__, "settings": repr(settings), "sources": digest.hexdigest()}


def _make_plan(sources: Sequence[Source], unpacked: Path) -> Plan:
    pieces: list[Piece] = []
    damages: list[Damage] = []
    for index, source in enumerate(sources):
        if has_frames(Path(source.path)):
            found, wrong = cut_into_pieces(index, source, unpacked / f"{index}.xyz", CHUNK_SIZE)
            pieces.extend(found)
            damages.extend(wrong)
        else:
            pieces.append(Piece(index, source.path, None, 0, 0, 1))
    chunks: list[list[Piece]] = []
    room = 0
    for piece in pieces:
        if piece.num_frames > room:
            chunks.append([])
            room = CHUNK_SIZE
        chunks[-1].append(piece)
        room -= piece.num_frames
    return chunks, damages
