"""Fermi energies read from electronic spectra by a network, which tell how much physics is in a prediction."""

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from electrain.data.fixed.reading import SpectraPart
from electrain.files.own_files import expecting, read_arrays
from electrain.files.replacing import atomically
from electrain.interface.quantities import quantity_of
from electrain.jobs.folder import JobFolder, make_chunks
from electrain.jobs.progress import progress_bar

from .errors import num_atoms_of

NUM_LAYERS, WIDTH = 4, 256
MAX_EPOCHS, PATIENCE = 1000, 50
BATCH_SIZE, LEARNING_RATE = 32, 1e-3
_REMEDY = "delete it and run the same command to train the network again"
_Pairs = tuple[torch.Tensor, torch.Tensor]


class FermiEnergyNetwork(nn.Module):
    """Four linear layers with a nonlinearity between them, from a spectrum to the Fermi energy.

    So Lee et al., "Density of States Prediction of Crystalline Materials via Prompt-guided Multi-Modal Transformer"
    (NeurIPS 2023), A.2, evaluate predicted spectra: the network is trained on true spectra and then applied to
    predicted ones. AdamW, at most 1000 epochs, and the end after 50 epochs without a better validation error are those
    of their other trainings (A.3), and 256 features their width; they give nothing else for this network.

    :param num_channels: number of channels of a spectrum.
    """

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Linear(num_channels, WIDTH)]
        for _ in range(NUM_LAYERS - 2):
            layers += [nn.SiLU(), nn.Linear(WIDTH, WIDTH)]
        self.layers = nn.Sequential(*layers, nn.SiLU(), nn.Linear(WIDTH, 1))
        # of the training set: root mean square of the inputs; Fermi energies in eV
        for name in ("scale", "mean", "deviation"):
            self.register_buffer(name, torch.ones(()))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(num_structures, num_channels) -> Fermi energies in eV, (num_structures,)."""
        normalised = self.layers(inputs / self.get_buffer("scale")).squeeze(1)
        return self.get_buffer("mean") + self.get_buffer("deviation") * normalised

    @torch.no_grad()
    def predict(self, part: SpectraPart, spectra: NDArray[np.float64]) -> NDArray[np.float64]:
        """Predict the Fermi energies of a part in eV from true or predicted spectra; NaN without a spectrum.

        :param spectra: in the unit of the target, shape ``(num_structures, num_channels)``. Channels in which the true
            spectrum is unknown are not read.
        """
        known = np.isfinite(part.spectra)
        there = known.any(axis=1) & ~(np.isnan(spectra) & known).any(axis=1)
        found = self(_inputs(part, np.where(known, spectra, np.nan))).double().numpy()
        return np.where(there, found, np.nan)


def trained_network(train: SpectraPart, validation: SpectraPart, job: JobFolder, seed: int = 0) -> FermiEnergyNetwork:
    """Train the network, unless this has been done before.

    :param train: the training set, with at least one known Fermi energy.
    :param validation: decides when the training ends; with at least one known Fermi energy.
    :param job: folder for predictions, in which the network is stored.
    :param seed: of initial weights and order.
    """
    file = job.chunk("fermi_energy", seed, ".npz")
    task = (train, validation, seed)
    make_chunks(_train_and_write, [task], [file], [len(train)], what="Fermi energy", progress=False)
    network = FermiEnergyNetwork(train.axis.size)
    with expecting("the network for Fermi energies", file, _REMEDY):
        arrays = read_arrays(file, list(network.state_dict()), _REMEDY)
        network.load_state_dict({name: torch.from_numpy(values) for name, values in arrays.items()})
    return network.eval()


def knows_fermi_energies(part: SpectraPart) -> bool:
    """Whether any structure has a spectrum and a Fermi energy."""
    return bool(_usable(part).any())


def _usable(part: SpectraPart) -> NDArray[np.bool_]:
    return np.isfinite(part.fermi_energies) & np.isfinite(part.spectra).any(axis=1)


def _inputs(part: SpectraPart, spectra: NDArray[np.float64]) -> torch.Tensor:
    """Spectra per atom, unless they belong to the whole structure; unknown channels are zero."""
    scale = 1.0 if quantity_of(part.target).intensive else 1.0 / num_atoms_of(part)[:, None]
    return torch.from_numpy(np.nan_to_num(spectra * scale)).float()


def _pairs(part: SpectraPart) -> _Pairs:
    usable = torch.from_numpy(_usable(part))
    return _inputs(part, part.spectra)[usable], torch.from_numpy(part.fermi_energies).float()[usable]


def _train_and_write(train: SpectraPart, validation: SpectraPart, seed: int, file: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        with progress_bar("training for Fermi energies", MAX_EPOCHS * len(train)) as advance:
            network = _train(_pairs(train), _pairs(validation), advance)
    with atomically(file) as unfinished, unfinished.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **{name: values.numpy() for name, values in network.state_dict().items()})


def _train(train: _Pairs, validation: _Pairs, advance: Callable[[int], object]) -> FermiEnergyNetwork:
    inputs, energies = train
    network = FermiEnergyNetwork(inputs.shape[1])
    spread = energies.std(correction=0)
    network.get_buffer("scale").copy_(inputs.square().mean().sqrt().clamp_min(1e-30))
    network.get_buffer("mean").copy_(energies.mean())
    network.get_buffer("deviation").copy_(torch.where(spread > 0, spread, 1.0))
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE)
    best, best_epoch, kept = float("inf"), 0, copy.deepcopy(network.state_dict())
    for epoch in range(MAX_EPOCHS):
        for chosen in torch.randperm(len(energies)).split(BATCH_SIZE):
            loss = _mean_square(network, (inputs[chosen], energies[chosen]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        advance(len(energies))
        with torch.no_grad():
            error = float(_mean_square(network, validation))
        if error < best:
            best, best_epoch, kept = error, epoch, copy.deepcopy(network.state_dict())
        if epoch - best_epoch >= PATIENCE:
            break
    network.load_state_dict(kept)
    return network


def _mean_square(network: FermiEnergyNetwork, pairs: _Pairs) -> torch.Tensor:
    return ((network(pairs[0]) - pairs[1]) / network.get_buffer("deviation")).square().mean()
