"""Bands of a tight-binding model, learned to within 1 meV, and their density of states on a mesh."""

from collections import Counter

import numpy as np
import torch
from band_models import bands_info, cubic_bands, cubic_crystal, hypers, with_k_points

from electrain.architectures.bandformer.model import Bandformer
from electrain.interface.quantities import BANDS
from electrain.spectra import EnergyGrid, density_of_states

CONSTANTS = [2.2, 2.5, 2.8]  # Angstrom
COORDINATES = (np.arange(6) + 0.5) / 6 - 0.5
MESH = np.stack(np.meshgrid(*[COORDINATES] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
# cubic symmetry: signs and order of the coordinates do not matter
COUNTS = Counter(tuple(np.sort(np.abs(k)).round(9)) for k in MESH)
POINTS = np.array(list(COUNTS))
SMALL = {
    "cutoff": 3.2,
    "num_neighbors": None,
    "width": 16,
    "feedforward_width": 16,
    "num_encoder_layers": 1,
    "num_decoder_layers": 1,
    "num_cosines": 3,
    "num_k_points": len(POINTS),
}


def learned(true: torch.Tensor) -> torch.Tensor:
    """Fit all weights by L-BFGS, which needs fewer steps than Adam where there is no noise; return the bands."""
    torch.manual_seed(0)
    model = Bandformer(hypers(**SMALL), bands_info(**SMALL)).double().train()
    frames = [cubic_crystal(constant) for constant in CONSTANTS]
    batch = model.read(with_k_points(frames, [POINTS] * len(frames), model))
    head = model.network.head(BANDS)
    head.start_from_mean(true.mean(dim=0).flatten())

    def bands():
        features = model.network(batch)
        return head.energies(features, features.k_points)

    optimizer = torch.optim.LBFGS(
        model.network.parameters(), max_iter=500, history_size=50, line_search_fn="strong_wolfe", tolerance_change=0.0
    )

    def closure():
        optimizer.zero_grad()
        loss = (bands() - true).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    return bands().detach()


def test_bands_and_their_density_of_states():
    """On a mesh of 6 x 6 x 6 points, of which symmetry leaves ten."""
    true = torch.tensor(np.stack([cubic_bands(constant, POINTS) for constant in CONSTANTS]))
    found = learned(true)
    assert (found - true).abs().mean() < 1e-3
    grid = EnergyGrid(-15.0, 0.05, 600)
    weights = torch.tensor([2.0 * COUNTS[tuple(k)] / len(MESH) for k in POINTS])
    for constant, energies in zip(CONSTANTS, found, strict=True):
        own = density_of_states(energies.T, weights, grid, 0.3)
        everywhere = torch.tensor(cubic_bands(constant, MESH).T)
        expected = density_of_states(everywhere, torch.full((len(MESH),), 2.0 / len(MESH)).double(), grid, 0.3)
        assert abs(own.sum() * grid.step - 4.0) < 1e-6  # states in two bands
        assert (own - expected).abs().max() < 0.01 * expected.max()
