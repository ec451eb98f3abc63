"""A small network that learns the training set in a minute: the baseline that a good model has to beat."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from ase import Atoms
from metatomic.torch import NeighborListOptions
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel
from vesin.metatomic import NeighborList

from electrain.data.reading import PreparedPart
from electrain.interface.ase_systems import to_system
from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES
from electrain.interface.systems import element_table, systems_to_batch
from electrain.nn.batch import Batch
from electrain.nn.shifted_spectra import SpectrumChannels
from electrain.nn.two_layer import RADIUS, TwoLayerNetwork, TwoLayerPrediction
from electrain.results import ElectronicStructure
from electrain.spectra import EnergyAxis, electrons_in_target, spectral_loss_terms
from electrain.spectra.element_spectra import at_middle_shift, element_spectra
from electrain.spectra.losses import CUMULATIVE_WEIGHT, GRADIENT_WEIGHT, mean_loss

# So many training structures, spread evenly over the file, are in memory.
MAX_STRUCTURES = 20_000
BATCH_SIZE = 16  # structures
NUM_EPOCHS = 30
MIN_STEPS = 750  # more epochs for smaller training sets
_LEARNING_RATE, _WEIGHT_DECAY = 1e-3, 0.01
_WARMUP_STEPS = 200
_MAX_GRADIENT = 1.0
_DECAY_OF_AVERAGE = 0.995  # of the weights, per step
_LEVELS_WEIGHT = 0.1  # of gap and Fermi level
_METAL = 0.05  # eV; no smaller gap counts as one


class TrainingStructures(NamedTuple):
    """What the network learns from: structures with electrons in the trusted range of their density of states.

    :param atoms: the structures.
    :param targets: their densities of states on the target grid, NaN where not trusted, shape
        ``(num_structures, num_channels)``, states/eV.
    :param gaps: band gaps in eV, NaN if unknown, shape ``(num_structures,)``.
    """

    atoms: list[Atoms]
    targets: torch.Tensor
    gaps: torch.Tensor

    @classmethod
    def read(cls, part: PreparedPart) -> "TrainingStructures":
        """Read the training part of a data set.

        :raises ValueError: if no density of states can be used.
        """
        chosen = set(np.linspace(0, len(part) - 1, min(MAX_STRUCTURES, len(part))).astype(np.int64).tolist())
        atoms, targets, gaps = [], [], []
        for index, labelled in enumerate(part.structures()):
            target, trusted = part.axis.window(torch.from_numpy(labelled.values[DENSITY_OF_STATES]))
            if index in chosen and float(electrons_in_target(target[None], trusted[None], part.axis.grid.step)) > 0:
                atoms.append(labelled.atoms)
                targets.append(target.float())
                gaps.append(float(labelled.values[BAND_GAP]))
        if not atoms:
            raise ValueError(
                f"expected densities of states to train the network baseline on, found none in {part.path}"
            )
        return cls(atoms, torch.stack(targets), torch.tensor(gaps))


class NetworkBaseline:
    """A :class:`~electrain.nn.two_layer.TwoLayerNetwork` trained on densities of states, band gaps and Fermi levels.

    The loss is that of :func:`~electrain.spectra.losses.mean_loss` per electron, plus a tenth of: the cross entropy of
    metals and insulators, and the smooth absolute errors of gaps (of insulators) and of the Fermi level (the zero of
    the target at the best shift), in eV. The predicted weights are exponential averages over the training.

    :param training: the training set.
    :param axis: energy axis of the data set.
    :param seed: of initial weights, order and dropout; the same seed gives the same network.
    :param advance: called with the number of structures after each step; see :func:`num_epochs`.
    :raises ValueError: for an element whose properties are not known.
    """

    def __init__(
        self, training: TrainingStructures, axis: EnergyAxis, *, seed: int = 0, advance: Callable[[int], object]
    ) -> None:
        self._axis = axis
        self._numbers = sorted({int(number) for atoms in training.atoms for number in atoms.numbers})
        self._element_of_type = element_table(self._numbers)
        self._options = NeighborListOptions(RADIUS, full_list=True, strict=True)
        self._neighbors = NeighborList(self._options, "angstrom", skin=0.0)
        channels = SpectrumChannels(axis.grid.size, axis.grid.step, axis.middle_reference, axis.smearing)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = TwoLayerNetwork(self._numbers, channels).float()
            described = self._described(network, training.atoms)
            network.spectra.start_from(_start(described, training.targets, axis, len(self._numbers)))
            self.network = _train(network, described, training, axis, advance)

    def predict(self, atoms: Atoms) -> tuple[ElectronicStructure | None, None]:
        """Predict one structure: no energy, and nothing for a structure with an element that is new."""
        if not set(atoms.numbers.tolist()) <= set(self._numbers):
            return None, None
        with torch.no_grad():
            found = self.network(self._batch(atoms))
        middle = float(self._axis.shift_in_eV(torch.tensor(self._axis.middle_shift)))
        result = ElectronicStructure(
            atoms,
            self._axis.grid.energies().numpy(),
            found.spectra[0].double().numpy(),
            band_gap=float(found.gap) if float(found.insulating) > 0.0 else 0.0,
            fermi_level=middle + float(found.level),
        )
        return result, None

    def _batch(self, atoms: Atoms) -> Batch:
        system = to_system(atoms)
        system.add_neighbor_list(self._options, self._neighbors.compute(system))
        system = system.to(torch.float32)
        return systems_to_batch([system], self._options, self._element_of_type, self._numbers)

    def _described(self, network: TwoLayerNetwork, structures: Sequence[Atoms]) -> "_Described":
        """Compute descriptors and standardise them."""
        batches = [self._batch(atoms) for atoms in structures]
        raw = [network.descriptors.raw(batch) for batch in batches]
        rows = torch.cat(raw).double()
        network.descriptors.fit(rows.mean(dim=0), rows.var(dim=0, unbiased=False))
        mean, deviation = network.descriptors.mean, network.descriptors.deviation
        return _Described([batch.elements for batch in batches], [(row - mean) / deviation for row in raw])


def num_epochs(num_structures: int) -> int:
    """How often the network sees a training set of this size."""
    return max(NUM_EPOCHS, math.ceil(MIN_STEPS / math.ceil(num_structures / BATCH_SIZE)))


_Weights = tuple[torch.Tensor, ...] | list[torch.Tensor]


class _Described(NamedTuple):
    """Elements (num_atoms,) and descriptors (num_atoms, num_descriptors) of each structure."""

    elements: list[torch.Tensor]
    descriptors: list[torch.Tensor]

    def predicted(self, network: TwoLayerNetwork, chosen: list[int]) -> TwoLayerPrediction:
        num_atoms = torch.tensor([len(self.elements[index]) for index in chosen])
        return network.predict(  # type: ignore[no-any-return]  # TorchScript's decorator has no types
            torch.cat([self.elements[index] for index in chosen]),
            torch.cat([self.descriptors[index] for index in chosen]),
            torch.repeat_interleave(torch.arange(len(chosen)), num_atoms),
            len(chosen),
        )


def _start(described: _Described, targets: torch.Tensor, axis: EnergyAxis, num_elements: int) -> torch.Tensor:
    counts = torch.stack([torch.bincount(own, minlength=num_elements) for own in described.elements])
    return at_middle_shift(element_spectra(counts, targets, ~torch.isnan(targets)), axis)


def _train(
    network: TwoLayerNetwork,
    described: _Described,
    training: TrainingStructures,
    axis: EnergyAxis,
    advance: Callable[[int], object],
) -> TwoLayerNetwork:
    number = len(training.atoms)
    epochs = num_epochs(number)
    optimizer, scheduler = _optimizer(network, epochs * math.ceil(number / BATCH_SIZE))
    averaged = AveragedModel(network, multi_avg_fn=_average)
    network.train()
    for _ in range(epochs):
        for chosen in torch.randperm(number).split(BATCH_SIZE):
            predicted = described.predicted(network, chosen.tolist())
            loss = _loss(predicted, training.targets[chosen], training.gaps[chosen], axis)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), _MAX_GRADIENT)
            optimizer.step()
            scheduler.step()
            averaged.update_parameters(network)
            advance(len(chosen))
    return cast(TwoLayerNetwork, averaged.module.eval())


def _optimizer(
    network: TwoLayerNetwork, num_steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW that leaves the spectra of the elements where they are, with a warm-up and half a period of a cosine."""
    kept = [network.spectra.elements]
    decaying = [parameter for parameter in network.parameters() if parameter is not kept[0]]
    groups: list[dict[str, Any]] = [{"params": decaying}, {"params": kept, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)

    def factor(step: int) -> float:
        return min(1.0, (step + 1) / _WARMUP_STEPS) * 0.5 * (1.0 + math.cos(math.pi * step / num_steps))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def _average(averaged: _Weights, current: _Weights, count: torch.Tensor | int) -> None:
    """Exponential average that forgets the start: at first over a tenth of all steps."""
    decay = min(_DECAY_OF_AVERAGE, (1.0 + float(count)) / (10.0 + float(count)))
    torch._foreach_lerp_(averaged, current, 1.0 - decay)


def _loss(predicted: TwoLayerPrediction, targets: torch.Tensor, gaps: torch.Tensor, axis: EnergyAxis) -> torch.Tensor:
    step, trusted = axis.grid.step, ~torch.isnan(targets)
    terms = spectral_loss_terms(predicted.spectra, targets, trusted, step)
    electrons = electrons_in_target(targets, trusted, step)
    spectral = mean_loss(terms, trusted, electrons, GRADIENT_WEIGHT, CUMULATIVE_WEIGHT)
    levels = functional.smooth_l1_loss(predicted.level, (step * (terms.shift - axis.middle_shift)).to(targets))
    known = ~torch.isnan(gaps)
    if not known.any():
        return spectral + _LEVELS_WEIGHT * levels
    insulating = (gaps[known] > _METAL).to(targets)
    metals = functional.binary_cross_entropy_with_logits(predicted.insulating[known], insulating)
    sizes = functional.smooth_l1_loss(predicted.gap[known], gaps[known], reduction="none") * insulating
    return spectral + _LEVELS_WEIGHT * (levels + metals + sizes.mean())
