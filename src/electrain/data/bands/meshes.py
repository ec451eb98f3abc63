"""Bands at the k-points of meshes, as calculations of densities of states have them: more to learn from than paths."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import replace

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from electrain.bands import BandStructure, band_window
from electrain.structures.crystal_systems import crystal_system
from electrain.structures.lattice_maps import k_point_map
from electrain.structures.standard_cells import laue_group, standard_cell

from ..calculation import Calculation, Rejected
from ..kind_splits import CRYSTAL_SYSTEM, KindSplit
from ..readers import read_calculations
from ..sampled_spectrum import SampledSpectrum
from ..sources import Source, each_readable
from ..splits import identity_of
from .settings import BandsSettings, LearnedBands
from .targets import BandTargets


def read_meshes(
    sources: Sequence[Source], settings: BandsSettings, held_out: Sequence[LearnedBands], rejected: list[Rejected]
) -> Iterator[LearnedBands]:
    """Read the calculations whose bands may be learned.

    A crystal is left out if its compound, by formula or ``parent``, is among those that are held out, if a given split
    puts it into another part than the training set, and if it is of another kind than a split by kinds trains on.

    :param sources: files of calculations, as for densities of states.
    :param settings: of the data set.
    :param held_out: validation and test set.
    :param rejected: what is left out is added here.
    """
    identities = [identity_of(one.atoms) for one in held_out]
    formulas = {one.formula for one in identities}
    parents = {one.parent for one in identities} - {None}
    for number, one in enumerate(_read(sources)):
        if isinstance(one, Rejected):
            rejected.append(one)
            continue
        try:
            _check_is_for_training(one.atoms, settings, formulas, parents)
            yield learned_mesh(one, settings, number)
        except ValueError as error:
            rejected.append(Rejected(one.source, str(error)))


def learned_mesh(calculation: Calculation, settings: BandsSettings, number: int) -> LearnedBands:
    """Choose what is learned of a calculation on a mesh.

    The crystal is brought into its standardised primitive cell. The bands about the gap are those of the whole mesh; of
    its k-points, as many as a path has are drawn at random, each once before any a second time, and a random operation
    of the crystal's Laue group is applied to each: bands are the same at all equivalent points, but a code computes one
    of them only, and not the one that lies on a path.

    :param calculation: with coordinates of its k-points.
    :param settings: numbers of bands and k-points, and the seed.
    :param number: of the calculation, for its own random numbers.
    :raises ValueError: for calculations without these coordinates, for structures that are no crystals, for cells that
        are not primitive, and as :func:`~electrain.bands.band_window`.
    """
    if calculation.k_points is None:
        raise ValueError("expected coordinates of k-points, which the calculation does not have")
    standard = standard_cell(calculation.atoms).atoms
    standard.info = dict(calculation.atoms.info)
    bands = BandStructure(
        atoms=standard,
        k_points=calculation.k_points @ k_point_map(calculation.atoms, standard),
        energies=np.sort(calculation.eigenvalues, axis=2),
        fermi_level=calculation.fermi_level,
        num_electrons=calculation.num_electrons,
        noncollinear=calculation.noncollinear,
        source=calculation.source,
    )
    window = band_window(bands, settings.num_bands)
    rng = np.random.default_rng([settings.seed, number])
    drawn = _drawn(len(bands.k_points), settings.num_k_points, rng)
    targets = BandTargets(_turned(bands.k_points[drawn], laue_group(standard), rng), window[:, drawn], ())
    return LearnedBands(bands, targets, number, is_standard=True, is_mesh=True)


def _read(sources: Sequence[Source]) -> Iterator[Calculation | Rejected]:
    for source in sources:
        for one in each_readable(read_calculations(source.path), source.name):
            name = one.source.replace(source.path, source.name)
            if isinstance(one, SampledSpectrum):
                yield Rejected(name, "expected eigenvalues at k-points, got a density of states")
            else:
                yield replace(one, source=name)


def _check_is_for_training(atoms: Atoms, settings: BandsSettings, formulas: Set[str], parents: Set[str | None]) -> None:
    """Raise a ``ValueError`` with the reason for which a crystal must not be learned.

    :param formulas: of all that is held out.
    :param parents: of all that is held out.
    """
    own = identity_of(atoms)
    if settings.split is None and own.part not in (None, "train"):
        raise ValueError(f"meshes are for the training set only, and its key 'split' says {own.part}")
    if settings.kinds is not None and _kind(atoms, settings.kinds) not in settings.kinds.train:
        raise ValueError(f"expected a crystal of the kinds that --split {settings.kinds.text} trains on, got another")
    if own.formula in formulas or own.parent in parents:
        raise ValueError(f"its compound, {own.formula}, is in the validation or test set")


def _kind(atoms: Atoms, kinds: KindSplit) -> str | None:
    return crystal_system(atoms) if kinds.by == CRYSTAL_SYSTEM else str(len(identity_of(atoms).elements))


def _drawn(number: int, wanted: int, rng: np.random.Generator) -> NDArray[np.int64]:
    rounds = [rng.permutation(number) for _ in range(-(-wanted // number))]
    return np.concatenate(rounds)[:wanted]


def _turned(
    k_points: NDArray[np.float64], operations: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Equivalent points in the cell about the origin.

    Rotations of positions are :math:`x' = W x`, and their inverses, which are in the group, act on rows of k-points.
    """
    chosen = operations[rng.integers(len(operations), size=len(k_points))]
    turned = np.einsum("ki,kij->kj", k_points, chosen)
    return np.asarray(turned - np.round(turned))
