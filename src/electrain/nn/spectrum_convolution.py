"""1D convolutions on spectra."""

import torch
from torch import nn
from torch.nn import functional


class SpectrumConvolution(nn.Module):
    """Predicts one number from a spectrum: 1D convolutions and two linear layers (PET-MAD-DOS paper, section IV.5).

    Four blocks of convolution (64 channels; kernels 32, 16, 8, 8; padding 1), SiLU and max-pooling by 4, then
    1024 hidden units with SiLU.

    :param num_channels: length of the spectrum.
    :raises ValueError: if the spectrum is too short for four pooling steps.
    """

    KERNELS = (32, 16, 8, 8)
    NUM_FILTERS = 64
    HIDDEN_WIDTH = 1024
    PADDING = 1
    POOLING = 4

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        length, in_filters = num_channels, 1
        for kernel in self.KERNELS:
            convolution = nn.Conv1d(in_filters, self.NUM_FILTERS, kernel, padding=self.PADDING)
            blocks += [convolution, nn.SiLU(), nn.MaxPool1d(self.POOLING)]
            length = (length + 2 * self.PADDING - kernel + 1) // self.POOLING
            in_filters = self.NUM_FILTERS
        if length < 1:
            raise ValueError(
                "a band gap or Fermi level head needs a density of states with at least "
                f"{self.min_channels()} channels, got {num_channels}: use a finer or longer energy grid"
            )
        self.convolutions = nn.Sequential(*blocks)
        self.hidden = nn.Linear(self.NUM_FILTERS * length, self.HIDDEN_WIDTH)
        self.last = nn.Linear(self.HIDDEN_WIDTH, 1)

    @classmethod
    def min_channels(cls) -> int:
        """Length of the shortest spectrum that still has one value after all pooling steps."""
        length = 1
        for kernel in reversed(cls.KERNELS):
            length = length * cls.POOLING + kernel - 1 - 2 * cls.PADDING
        return length

    def forward(self, spectra: torch.Tensor) -> torch.Tensor:
        """(num_samples, num_channels) -> (num_samples, 1)."""
        features = self.convolutions(spectra.unsqueeze(1)).flatten(1)
        return self.last(functional.silu(self.hidden(features)))
