"""Ensembles of spectra from last-layer features."""

import torch
from torch import nn

# Number of principal components of the errors along the energy axis that form the ensembles; they contain nearly all of
# the variance. Members of the published size would take 1.3 GB as weights of one linear layer, instead of 35 MB.
NUM_MODES = 128


class SpectralEnsemble(nn.Module):
    """Features -> deviations of the members of an ensemble, which are smooth along the energy axis.

    Each member is a linear function of the features with a low-rank weight: its own amplitudes times modes shared by
    all members.

    :param num_features: number of features of a sample.
    :param num_members: number of members of the ensemble.
    :param num_channels: number of channels of the spectrum.
    """

    def __init__(self, num_features: int, num_members: int, num_channels: int) -> None:
        super().__init__()
        num_modes = min(NUM_MODES, num_channels)
        self.num_members = num_members
        self.amplitudes = nn.Linear(num_features, num_members * num_modes, bias=False)
        self.modes = nn.Parameter(torch.zeros(num_modes, num_channels))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(num_samples, num_features) -> (num_samples, num_members * num_channels), with the members as outer index."""
        amplitudes = self.amplitudes(features).reshape(features.shape[0], self.num_members, -1)
        return (amplitudes @ self.modes).flatten(1)
