"""Spectra of atoms that cannot be negative, begin at those of the elements, and consist of parts that move."""

import math
from collections.abc import MutableMapping
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

# Energies at which the spectrum of an element is divided, in eV from the reference of the targets: semicore states,
# deep and upper valence states, and empty states; and the width of the soft edges between these parts.
EDGES = (-18.0, -6.0, 0.0)
_EDGE_WIDTH = 0.3  # eV
# The width of the broadening in units of the smearing of the targets, and that of the channels before it.
_SHARE_OF_SMEARING = 2 / 3
_CHANNEL_IN_WIDTHS = 1.0  # Gaussians at this distance add up to a constant within 1e-8
_KERNEL_IN_WIDTHS = 5.0
_FLOOR = 1e-5  # states/eV; below, the square root has no useful gradient


class SpectrumChannels(NamedTuple):
    """The channels of a predicted spectrum."""

    size: int
    step: float  # eV, or THz for phonons
    reference: float  # channel on which the reference of a target falls at the start of a training, the middle shift
    smearing: float | None  # of the targets, in eV
    edges: tuple[float, ...] = EDGES  # where spectra are divided into parts; none for a single part


class ShiftedSpectra(nn.Module):
    r"""Features and element of an atom -> its spectrum.

    .. math:: y_i(E) = \sum_m \max\big(W_m h_i + b_{z_i m},\ 0\big)^2 (E - s_{im})

    with features h, one spectrum b for each element and part m (semicore, deep valence, upper valence and empty states
    of electrons; spectra of phonons have a single part), and shifts s of the parts that are linear in the features:
    levels move and gaps open without a change of any channel. Untrained, W and s are zero and b is the square root of
    the element's spectrum times a window (:meth:`start_from`). Without the maximum, noise of either sign would leave a
    floor of its mean square in every gap.

    The squares are on channels of the width w = 2/3 of the smearing of the targets, and then broadened with Gaussians
    of this standard deviation, because no target has finer details. If the smearing is not known, they are on the
    channels of the spectrum itself.

    :param num_features: number of features.
    :param num_elements: number of elements.
    :param channels: channels of the spectrum.
    """

    windows: torch.Tensor  # (num_parts, num_channels)
    kernel: torch.Tensor  # of the broadening
    floor: torch.Tensor  # (), of what is squared: 0, but -inf in models that were trained without it

    def __init__(self, num_features: int, num_elements: int, channels: SpectrumChannels) -> None:
        super().__init__()
        width = _SHARE_OF_SMEARING * (channels.smearing or 0.0)
        self.stride: int = max(1, math.floor(_CHANNEL_IN_WIDTHS * width / channels.step + 1e-6))
        self.step: float = channels.step * self.stride
        self.size: int = channels.size
        self.num_parts: int = len(channels.edges) + 1
        self.num_channels: int = math.ceil((channels.size - 1) / self.stride) + 1
        self.linear = nn.Linear(num_features, self.num_parts * self.num_channels, bias=False)
        self.shifts = nn.Linear(num_features, self.num_parts)
        self.elements = nn.Parameter(torch.zeros(num_elements, self.num_parts, self.num_channels))
        self.register_buffer("windows", _windows(self.num_channels, self.step, channels))
        self.register_buffer("kernel", _kernel(width, channels.step, self.step))
        self.register_buffer("floor", torch.zeros(()))
        for parameter in (self.linear.weight, self.shifts.weight, self.shifts.bias):
            nn.init.zeros_(parameter)

    @torch.jit.unused
    @torch.no_grad()
    def start_from(self, spectra: torch.Tensor, chosen: torch.Tensor | None = None) -> None:
        """Begin with a spectrum for each element, (num_elements, size) in states/eV, none of them negative.

        :param spectra: of all elements.
        :param chosen: indices of the elements that begin with them; default: all.
        """
        coarse = spectra[:, :: self.stride]
        coarse = functional.pad(coarse, (0, self.num_channels - coarse.shape[1]), mode="replicate").to(self.elements)
        rows = slice(None) if chosen is None else chosen.to(self.elements.device)
        self.elements[rows] = (coarse.unsqueeze(1) * self.windows + _FLOOR).sqrt()[rows]

    @torch.jit.export
    def of_atoms(self, features: torch.Tensor, elements: torch.Tensor) -> torch.Tensor:
        """Spectra before they are broadened, which can be summed over atoms.

        :param features: (num_atoms, num_features).
        :param elements: (num_atoms,).
        :return: (num_atoms, num_channels), states/eV.
        """
        parts = self.linear(features).reshape(-1, self.num_parts, self.num_channels) + self.elements[elements]
        parts = torch.maximum(parts, self.floor)
        return moved(parts * parts, self.shifts(features) / self.step).sum(dim=1)

    @torch.jit.export
    def broadened(self, spectra: torch.Tensor) -> torch.Tensor:
        """(num_samples, num_channels) -> (num_samples, size), states/eV."""
        if self.stride == 1 and len(self.kernel) == 1:
            return spectra
        rows, padding = spectra.unsqueeze(1), len(self.kernel) // 2
        kernel = self.kernel.reshape(1, 1, -1)
        found = functional.conv_transpose1d(rows, kernel, stride=[self.stride], padding=[padding])
        return found.squeeze(1)[:, : self.size]

    def forward(self, features: torch.Tensor, elements: torch.Tensor) -> torch.Tensor:
        """Features (num_atoms, num_features) and elements (num_atoms,) -> spectra (num_atoms, size), states/eV."""
        return self.broadened(self.of_atoms(features, elements))


def without_floor(state: MutableMapping[str, torch.Tensor]) -> None:
    """Complete the weights of a model from the time before there was a floor, so that its spectra stay the same.

    :param state: weights by name, changed in place.
    """
    for name in [name for name in state if name.endswith(".windows")]:
        state[name.removesuffix("windows") + "floor"] = torch.full_like(state[name][0, 0], -math.inf)


def moved(spectra: torch.Tensor, shifts: torch.Tensor) -> torch.Tensor:
    """Move spectra to higher channels, with linear interpolation between channels; zero beyond both ends.

    :param spectra: (..., num_channels).
    :param shifts: (...,) in channels, of either sign.
    """
    size = spectra.shape[-1]
    source = torch.arange(size, dtype=shifts.dtype, device=shifts.device) - shifts.unsqueeze(-1)
    lower = source.floor()
    fraction = source - lower
    # one empty channel on both sides, which everything beyond the ends reads
    padded = functional.pad(spectra, [1, 1])
    first = (lower + 1.0).clamp(0, size + 1).to(torch.int64)
    second = (lower + 2.0).clamp(0, size + 1).to(torch.int64)
    return (1.0 - fraction) * padded.gather(-1, first) + fraction * padded.gather(-1, second)


def _windows(num_channels: int, step: float, channels: SpectrumChannels) -> torch.Tensor:
    """Shares of the parts in each channel, (num_parts, num_channels); they add up to one."""
    energies = step * torch.arange(num_channels, dtype=torch.float64) - channels.step * channels.reference
    above = [torch.sigmoid((energies - edge) / _EDGE_WIDTH) for edge in channels.edges]
    shares, left = [], torch.ones_like(energies)
    for share in above:
        shares.append(left * (1.0 - share))
        left = left * share
    return torch.stack([*shares, left]).to(torch.get_default_dtype())


def _kernel(width: float, step: float, coarse_step: float) -> torch.Tensor:
    """A Gaussian on the channels of the spectrum, times the width of the coarse ones."""
    if width == 0.0:
        return torch.ones(1)
    reach = math.ceil(_KERNEL_IN_WIDTHS * width / step)
    energies = step * torch.arange(-reach, reach + 1, dtype=torch.float64)
    gaussian = torch.exp(-0.5 * (energies / width) ** 2) / (math.sqrt(2 * math.pi) * width)
    return (coarse_step * gaussian).to(torch.get_default_dtype())
