import numpy as np
import torch
from scipy.optimize import nnls

from electrain.spectra.element_spectra import RIDGE, element_spectra


def data():
    generator = torch.Generator().manual_seed(0)
    counts = torch.randint(0, 4, (30, 4), generator=generator)
    counts[:, 0] += 1
    truth = torch.rand(4, 12, generator=generator, dtype=torch.float64)
    spectra = counts.double() @ truth
    trusted = torch.arange(12) < torch.randint(8, 12, (30, 1), generator=generator)  # the last channel in none
    return counts, truth, spectra, trusted


def test_against_least_squares_channel_by_channel():
    counts, _, spectra, trusted = data()
    spectra = spectra + 3 * torch.randn(spectra.shape, generator=torch.Generator().manual_seed(1)).double()
    found = element_spectra(counts, spectra.masked_fill(~trusted, torch.nan), trusted)
    atoms = counts.sum(dim=1)
    for channel in range(11):
        rows = trusted[:, channel]
        fractions = (counts[rows].double() / atoms[rows, None]).numpy()
        matrix = np.vstack([fractions, RIDGE * np.eye(4)])
        right = np.concatenate([(spectra[rows, channel] / atoms[rows]).numpy(), np.zeros(4)])
        np.testing.assert_allclose(found[:, channel], nnls(matrix, right)[0], atol=1e-10)
    assert (found >= 0).all()
    torch.testing.assert_close(found[:, 11], found[:, 10])


def test_sums_of_atoms_are_found_again():
    counts, truth, spectra, trusted = data()
    found = element_spectra(counts, spectra, trusted)
    assert (found[:, :8] - truth[:, :8]).abs().max() < 0.1  # the ridge draws them to zero a little
