"""Settings of a data set of bands, and what it contains."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms

from electrain.bands import BandStructure
from electrain.interface.band_labels import BandsShape

from ..at_once.splitting import SplitChoice, SplitSettings
from ..axis import checking_settings
from ..calculation import Rejected
from ..splits import Split
from .targets import BandTargets

MESH = "mesh"  # in the column of the table of structures that says what the k-points are those of


@dataclass(frozen=True)
class BandsSettings(SplitSettings):
    """Settings that determine the content of a data set; see :func:`prepare_bands`.

    :raises SettingsError: for invalid settings.
    """

    num_bands: int
    num_k_points: int
    split: SplitChoice
    seed: int
    form: str | None
    meshes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        with checking_settings():
            if self.num_bands < 2 or self.num_bands % 2:
                raise ValueError(
                    f"expected an even number of bands, half of them filled, got --num-bands {self.num_bands}"
                )
            if self.num_k_points < 2:
                raise ValueError(f"expected at least 2 k-points along a path, got --num-k-points {self.num_k_points}")
            self.check_split()

    @property
    def shape(self) -> BandsShape:
        """Numbers of bands and k-points."""
        return BandsShape(self.num_bands, self.num_k_points)

    def command(self, sources: Sequence[Path]) -> str:
        """Return the command that makes the same data set."""
        meshes = [word for name in self.meshes for word in ("--meshes", name)]
        return self.command_with(
            sources, {"--bands": meshes, "--num-bands": [self.num_bands], "--num-k-points": [self.num_k_points]}
        )


@dataclass(frozen=True, eq=False)
class LearnedBands:
    """A band structure with what is learned of it.

    :param bands: as in its source; the structure's ``info`` may contain ``id``, ``subset`` and ``split``.
    :param targets: bands about the gap on the path.
    :param row: number of the band structure among all of the sources, from 0; that of meshes is among meshes.
    :param is_standard: whether its cell is the standardised primitive one; ``None`` if unknown.
    :param is_mesh: whether the k-points are those of a mesh, see :func:`~electrain.data.bands.meshes.learned_mesh`.
    """

    bands: BandStructure
    targets: BandTargets
    row: int
    is_standard: bool | None
    is_mesh: bool = False

    @property
    def gap(self) -> float:
        """In eV, 0 for a metal."""
        edges = self.bands.edges()
        return 0.0 if edges is None else edges[1] - edges[0]

    @property
    def atoms(self) -> Atoms:
        """The crystal."""
        return self.bands.atoms

    @property
    def source(self) -> str:
        """The file, and the frame if it contains several structures."""
        return self.bands.source


@dataclass(frozen=True)
class PreparedBands:
    """A data set of bands that was written to disk.

    :param folder: its folder.
    :param form: format of its files.
    :param shape: numbers of bands and k-points.
    :param parts: the structures of the training, validation and test set.
    :param split: which structure is where.
    :param rejected: what was left out, with the reasons.
    :param num_unused: structures that given index files do not name.
    """

    folder: Path
    form: str
    shape: BandsShape
    parts: dict[str, list[LearnedBands]]
    split: Split
    rejected: list[Rejected]
    num_unused: int

    @property
    def everything(self) -> list[LearnedBands]:
        """The structures of all parts."""
        return [one for of_part in self.parts.values() for one in of_part]

    @property
    def along_paths(self) -> list[LearnedBands]:
        """The structures of all parts whose bands are those along a path."""
        return [one for one in self.everything if not one.is_mesh]

    @property
    def num_meshes(self) -> int:
        """Number of training structures whose bands are those on a mesh."""
        return sum(one.is_mesh for one in self.everything)

    @property
    def num_other_cells(self) -> int:
        """Number of structures whose cell is not the standardised primitive one."""
        return sum(one.is_standard is False for one in self.everything)

    @property
    def num_unknown_cells(self) -> int:
        """Number of structures of whose cell it is not known."""
        return sum(one.is_standard is None for one in self.everything)
