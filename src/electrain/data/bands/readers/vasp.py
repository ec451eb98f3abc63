"""Bands along paths in VASP's vasprun.xml, with labels from the file KPOINTS beside it."""

from pathlib import Path

from electrain.bands import BandStructure
from electrain.structures.packed import open_packed

from ...calculation import CalculationError
from ...readers.common import reading
from ...readers.vasp import check_run, is_noncollinear, last_structure, levels_of, open_run
from .common import bands_along_path

_LARGEST = 2**24  # bytes of KPOINTS
_SUFFIXES = ("", ".gz", ".xz", ".bz2")


def read_vasp_bands(path: Path) -> BandStructure:
    """Read a run in line mode, or a mesh with a path of k-points of zero weight as for hybrid functionals.

    The file may be compressed. The Fermi level is the one that VASP writes, which in line mode is from the points of
    the path alone; which bands are filled follows from the number of electrons.

    :raises CalculationError: if the file is damaged, the run did not converge, or a check fails.
    :raises ImportError: if pymatgen is not installed.
    """
    source = str(path)
    with reading(source, "VASP's vasprun.xml"):
        run = open_run(path)
        check_run(run, source)
        return bands_along_path(
            last_structure(run),
            levels_of(run)[..., 0],
            run.actual_kpoints,
            weights=run.actual_kpoints_weights,
            labels=_labels_beside(path, len(run.actual_kpoints)),
            fermi_level=float(run.efermi),
            num_electrons=float(run.parameters["NELECT"]),
            noncollinear=is_noncollinear(run),
            source=source,
        )


def _labels_beside(path: Path, num_k: int) -> dict[int, str]:
    """Labels in the file KPOINTS; none if there is no such file, or if it is damaged or that of another run."""
    for candidate in (path.with_name(f"KPOINTS{suffix}") for suffix in _SUFFIXES):
        if candidate.is_file():
            try:
                with reading(str(candidate), "VASP's KPOINTS"), open_packed(candidate, _LARGEST) as file:
                    return _labels(file.read().decode(errors="replace"), num_k)
            except CalculationError:
                return {}
    return {}


def _labels(text: str, num_k: int) -> dict[int, str]:
    from pymatgen.io.vasp import Kpoints

    points = Kpoints.from_str(text)
    names = points.labels or []
    if points.style.name == "Line_mode":
        per_line = points.num_kpts
        if per_line * (len(names) // 2) != num_k:
            return {}
        ends = [index for line in range(len(names) // 2) for index in (line * per_line, (line + 1) * per_line - 1)]
        return {index: name for index, name in zip(ends, names, strict=False) if name}
    return {index: name for index, name in enumerate(names) if name} if len(names) == num_k else {}
