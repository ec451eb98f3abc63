"""Predictions from the composition alone, from nothing, or by a small network: the errors that a model has to beat."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from ase import Atoms
from numpy.typing import NDArray

from electrain.data.reading import PreparedPart
from electrain.files.own_files import read_arrays
from electrain.files.replacing import atomically
from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES, ENERGY
from electrain.jobs.folder import JobFolder, make_chunks
from electrain.jobs.progress import progress_bar
from electrain.results import ElectronicStructure
from electrain.spectra import EnergyAxis

from .aligned import align
from .composition_baseline import CompositionBaseline
from .evaluated_model import PredictedEnergy
from .network_baseline import MAX_STRUCTURES, NetworkBaseline, TrainingStructures, num_epochs
from .structure_errors import StructureErrors, compare_structure
from .summary import ErrorTable

CONSTANT_PER_ELEMENT, TRAINING_MEAN = "constant per element", "training mean"
TWO_LAYER_NETWORK = "two-layer network"
_CONSTANTS = (CONSTANT_PER_ELEMENT, TRAINING_MEAN)
BASELINES = (*_CONSTANTS, TWO_LAYER_NETWORK)
# The densities of states of so many training structures, spread evenly over the file, are in memory for the fit.
MAX_SPECTRA = 2000
_NUM_ELEMENTS = 119  # columns of compositions, by atomic number


class TrainingSet(NamedTuple):
    """What baselines are fitted to.

    :param counts: number of atoms of each element, shape ``(num_structures, 119)``.
    :param energies: eV per atom, NaN if unknown, shape ``(num_structures,)``.
    :param gaps: eV, NaN if unknown, of the same shape.
    :param chosen: indices of the structures whose densities of states are used.
    :param spectra: their densities of states on the prediction grid, shape ``(len(chosen), num_channels)``, states/eV.
    """

    counts: NDArray[np.int16]
    energies: NDArray[np.float64]
    gaps: NDArray[np.float64]
    chosen: NDArray[np.int64]
    spectra: torch.Tensor

    @classmethod
    def read(cls, part: PreparedPart, *, with_spectra: bool) -> "TrainingSet":
        """Read the training part of a data set, with or without densities of states."""
        chosen = np.unique(np.linspace(0, len(part) - 1, min(MAX_SPECTRA, len(part))).astype(np.int64))
        wanted = set(chosen.tolist()) if with_spectra else set()
        counts, energies, gaps, spectra = [], [], [], []
        for index, labelled in enumerate(part.structures()):
            counts.append(_counts(labelled.atoms))
            energies.append(float(labelled.values[ENERGY]) / len(labelled.atoms))
            gaps.append(float(labelled.values[BAND_GAP]))
            if index in wanted:
                spectra.append(torch.from_numpy(labelled.values[DENSITY_OF_STATES]).float())
        size = part.axis.grid.size
        rows = torch.stack(spectra) if spectra else torch.empty(0, size)
        return cls(np.array(counts), np.array(energies), np.array(gaps), chosen[: len(rows)], rows)


class Baseline:
    r"""Predictions that know nothing of a structure but its numbers of atoms :math:`n_Z`.

    With the fractions :math:`x_Z = n_Z / N`, the energy per atom, the band gap and the Fermi level are
    :math:`\sum_Z x_Z c_Z`, with constants :math:`c_Z` from least squares on the training set, and no gap below zero.
    The density of states is that of :class:`~electrain.evaluation.CompositionBaseline`; the Fermi level refers to its
    axis. Forces and stresses are zero. A structure with an element that the training set lacks has no such prediction.

    :param training: the training set.
    :param axis: energy axis of the data set.
    :param per_element: ``False`` for the same constants for all elements: the means of the training set.
    """

    def __init__(self, training: TrainingSet, axis: EnergyAxis, *, per_element: bool) -> None:
        self._per_element, self._axis = per_element, axis
        counts = self._columns(training.counts)
        self._energies = _Linear(counts, training.energies)
        self._gaps = _Linear(counts, training.gaps)
        self._spectra: CompositionBaseline | None = None
        usable = axis.window(training.spectra)[1].any(dim=1)
        if usable.any():
            own, targets = counts[training.chosen[usable.numpy()]], training.spectra[usable]
            self._known = own.any(axis=0)
            composition = torch.from_numpy(own[:, self._known])
            self._spectra = CompositionBaseline().fit(
                composition, *axis.window(targets), axis.max_shift, axis.grid.step
            )
            rows = zip(self._spectra.predict(composition), targets, strict=True)
            self._levels = _Linear(own, np.array([align(mine, true, axis).fermi_level for mine, true in rows]))

    def predict(self, atoms: Atoms) -> tuple[ElectronicStructure | None, PredictedEnergy]:
        """Predict one structure; without densities of states in the training set, only its energy."""
        counts = self._columns(_counts(atoms)[None])
        energy = PredictedEnergy(
            len(atoms) * self._energies.predict(counts), forces=np.zeros((len(atoms), 3)), stress=np.zeros((3, 3))
        )
        if self._spectra is None or counts[0, ~self._known].any():
            return None, energy
        result = ElectronicStructure(
            atoms,
            self._axis.grid.energies().numpy(),
            self._spectra.predict(torch.from_numpy(counts[:, self._known]))[0].numpy(),
            band_gap=float(np.maximum(self._gaps.predict(counts), 0.0)),
            fermi_level=self._levels.predict(counts),
        )
        return result, energy

    def _columns(self, counts: NDArray[np.int16]) -> NDArray[np.int16]:
        return counts if self._per_element else counts.sum(axis=1, keepdims=True, dtype=np.int16)


class _Linear:
    """Least squares of a number against the fractions of the elements."""

    def __init__(self, counts: NDArray[np.int16], values: NDArray[np.float64]) -> None:
        known = np.isfinite(values)
        self._known = counts[known].any(axis=0)
        fractions = _fractions(counts[known])[:, self._known]
        self._constants = np.linalg.lstsq(fractions, values[known])[0]

    def predict(self, counts: NDArray[np.int16]) -> float:
        """Value for one composition, shape ``(1, num_elements)``; NaN if it has an unknown element."""
        if counts[0, ~self._known].any():
            return math.nan
        return float((_fractions(counts)[:, self._known] @ self._constants)[0])


def training_part(part: PreparedPart) -> PreparedPart | None:
    """Return the training set that belongs to a part of a data set; ``None`` if there is none."""
    try:
        return PreparedPart(part.folder, "train")
    except (ValueError, FileNotFoundError):
        return None


def check_network_baseline(part: PreparedPart, train: PreparedPart | None, model: str, *, with_spectra: bool) -> None:
    """Raise a ``ValueError`` if there is nothing that the network could learn from, or be compared with.

    :param part: the evaluated part of a data set.
    :param train: its training part, if any.
    :param model: name or file of the model that it is to be compared with.
    :param with_spectra: whether this model predicts densities of states.
    """
    if train is None:
        raise ValueError(f"the network baseline needs a training part to learn from, but {part.folder} has none")
    if not with_spectra:
        raise ValueError(f"the network baseline is for models of densities of states, but {model} predicts none")


def describe_baselines(names: Sequence[str], num_training: int) -> str:
    """Say what the baselines are fitted to.

    :param names: of the baselines.
    :param num_training: number of structures in the training set.
    """
    if not names:
        return "none, because the data set has no training part"
    structures = f"{num_training} training structure{'s' * (num_training != 1)}"
    spectra = f" (densities of states: {MAX_SPECTRA} of them)" if num_training > MAX_SPECTRA else ""
    text = f"constants fitted to the {structures}{spectra}, with forces and stresses of zero"
    if TWO_LAYER_NETWORK in names:
        some = f"{MAX_STRUCTURES} of them" if num_training > MAX_STRUCTURES else "the same structures"
        text += f"; {TWO_LAYER_NETWORK} trained on {some}, without energies"
    return text


class _Predictor(Protocol):
    def predict(self, atoms: Atoms) -> tuple[ElectronicStructure | None, PredictedEnergy | None]: ...


def evaluate_baselines(
    part: PreparedPart, train: PreparedPart, job: JobFolder, *, with_spectra: bool
) -> dict[str, ErrorTable]:
    """Fit the constants to the training set and compare them with a part, unless this has been done before.

    :param part: the evaluated part of the data set.
    :param train: its training part.
    :param job: job folder for predictions of the part.
    :param with_spectra: whether densities of states, band gaps and Fermi levels are of interest.
    :return: numbers of all structures, by name of the baseline.
    """
    file = job.chunk("baselines", int(with_spectra), ".npz")
    make_chunks(_evaluate_constants, [(part, train, with_spectra)], [file], [len(part)], what="baselines")
    return _read(part, file, _CONSTANTS)


def evaluate_network_baseline(
    part: PreparedPart, train: PreparedPart, job: JobFolder, *, seed: int = 0
) -> dict[str, ErrorTable]:
    """Train the network and compare it with a part, unless this has been done before.

    :param seed: see :class:`~electrain.evaluation.network_baseline.NetworkBaseline`; the others are as for
        :func:`evaluate_baselines`.
    :return: numbers of all structures, by name of the baseline.
    :raises ValueError: if it cannot be trained on the training set.
    """
    file = job.chunk("network_baseline", seed, ".npz")
    # The training has a progress bar of its own.
    make_chunks(_evaluate_network, [(part, train, seed)], [file], [len(part)], what=TWO_LAYER_NETWORK, progress=False)
    return _read(part, file, (TWO_LAYER_NETWORK,))


def _read(part: PreparedPart, file: Path, names: tuple[str, ...]) -> dict[str, ErrorTable]:
    arrays = read_arrays(file, names, "delete it and run the same command to compute the baselines again")
    return {name: ErrorTable(part.entries, arrays[name], [""] * len(part)) for name in names}


def _evaluate_constants(part: PreparedPart, train: PreparedPart, with_spectra: bool, file: Path) -> None:
    training = TrainingSet.read(train, with_spectra=with_spectra)
    _evaluate(
        part,
        {name: Baseline(training, part.axis, per_element=name == CONSTANT_PER_ELEMENT) for name in _CONSTANTS},
        file,
    )


def _evaluate_network(part: PreparedPart, train: PreparedPart, seed: int, file: Path) -> None:
    training = TrainingStructures.read(train)
    number = len(training.atoms)
    with progress_bar(f"training of the {TWO_LAYER_NETWORK}", num_epochs(number) * number) as advance:
        network = NetworkBaseline(training, part.axis, seed=seed, advance=advance)
    _evaluate(part, {TWO_LAYER_NETWORK: network}, file)


def _evaluate(part: PreparedPart, baselines: Mapping[str, _Predictor], file: Path) -> None:
    rows: dict[str, list[StructureErrors]] = {name: [] for name in baselines}
    for labelled in part.structures():
        for name, baseline in baselines.items():
            result, energy = baseline.predict(labelled.atoms)
            errors = compare_structure(labelled, part.axis, result, energy, None).errors
            rows[name].append(errors._replace(true_gap_counted=math.nan))  # of the calculation alone
    with atomically(file) as unfinished, unfinished.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **{name: np.array(values) for name, values in rows.items()})


def for_same_structures(baseline: ErrorTable, model: ErrorTable) -> ErrorTable:
    """Return the numbers of a baseline for the structures that a model can compute."""
    left_out = np.array([bool(reason) for reason in model.reasons])
    values = baseline.values.copy()
    values[left_out] = np.nan
    values[:, StructureErrors._fields.index("num_atoms")] = baseline.column("num_atoms")
    return ErrorTable(model.entries, values, model.reasons)


def _counts(atoms: Atoms) -> NDArray[np.int16]:
    return np.bincount(atoms.numbers, minlength=_NUM_ELEMENTS).astype(np.int16)


def _fractions(counts: NDArray[np.int16]) -> NDArray[np.float64]:
    fractions: NDArray[np.float64] = counts / counts.sum(axis=1, keepdims=True, dtype=np.float64)
    return fractions
