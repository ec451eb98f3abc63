import math

import pytest
import torch

from electrain.nn.shifted_spectra import EDGES, ShiftedSpectra, SpectrumChannels, moved, without_floor

CHANNELS = SpectrumChannels(size=703, step=0.05, reference=500.0, smearing=0.3)
NUM_FEATURES, NUM_ELEMENTS = 5, 3


def make(channels=CHANNELS):
    torch.manual_seed(0)
    spectra = ShiftedSpectra(NUM_FEATURES, NUM_ELEMENTS, channels).double()
    with torch.no_grad():
        for parameter in spectra.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return spectra


def inputs():
    torch.manual_seed(1)
    return torch.randn(4, NUM_FEATURES, dtype=torch.float64), torch.tensor([0, 2, 1, 2])


def element_spectra():
    """Peaks of unequal height, one below and one above every edge."""
    energies = CHANNELS.step * (torch.arange(CHANNELS.size, dtype=torch.float64) - CHANNELS.reference)
    peaks = torch.tensor([-19.5, -12.0, -3.0, 4.0], dtype=torch.float64)
    rows = [torch.exp(-0.5 * ((energies[:, None] - peaks - 0.3 * k) / 0.5) ** 2).sum(dim=1) for k in range(3)]
    return torch.stack(rows)


@pytest.mark.parametrize("smearing", [0.3, 0.1, None])
def test_against_the_formula(smearing):
    """Every channel by hand: squares, moved with linear interpolation, then a sum of Gaussians."""
    channels = CHANNELS._replace(size=151, smearing=smearing)
    spectra, (features, elements) = make(channels), inputs()
    width = 2 / 3 * (smearing or 0.0)
    stride = max(1, round(width / channels.step - 0.499))
    assert spectra.stride == stride
    num_channels = spectra.num_channels
    expected = torch.zeros(4, channels.size, dtype=torch.float64)
    linear, base, shift = spectra.linear.weight, spectra.elements, spectra.shifts(features) / (stride * channels.step)
    shift = shift.detach()
    for atom in range(4):
        coarse = torch.zeros(num_channels, dtype=torch.float64)
        for part in range(len(EDGES) + 1):
            rows = linear[part * num_channels : (part + 1) * num_channels]
            square = (rows @ features[atom] + base[elements[atom], part]).clamp(min=0) ** 2
            for channel in range(num_channels):
                source = channel - float(shift[atom, part])
                low = math.floor(source)
                for index, weight in ((low, 1 - source + low), (low + 1, source - low)):
                    if 0 <= index < num_channels:
                        coarse[channel] += weight * square[index]
        for channel in range(channels.size):
            if smearing is None:
                expected[atom, channel] = coarse[channel]
                continue
            distances = channels.step * (channel - stride * torch.arange(num_channels))
            weights = torch.exp(-0.5 * (distances / width) ** 2) / (math.sqrt(2 * math.pi) * width)
            weights = torch.where(distances.abs() < 5.0 * width + 0.5 * channels.step, weights, 0.0)
            expected[atom, channel] = stride * channels.step * weights.double() @ coarse
    torch.testing.assert_close(spectra(features, elements), expected, rtol=1e-6, atol=1e-9)


def test_noise_leaves_nothing_in_gaps():
    """Where what is squared is negative, the spectrum is zero; in models of before, it was not."""
    features, elements = inputs()
    spectra = make()
    with torch.no_grad():
        spectra.elements.fill_(-100.0)
    assert (spectra(features, elements) == 0).all()
    state = {f"head.{name}": values for name, values in spectra.state_dict().items() if name != "floor"}
    without_floor(state)
    assert sorted(state) == sorted(f"head.{name}" for name in spectra.state_dict())
    spectra.load_state_dict({name.removeprefix("head."): values for name, values in state.items()})
    assert (spectra.of_atoms(features, elements).max(dim=1).values > 1000).all()


def test_spectra_are_not_negative():
    assert (make()(*inputs()) >= 0).all()


def test_the_start_is_the_spectrum_of_the_element():
    spectra = ShiftedSpectra(NUM_FEATURES, NUM_ELEMENTS, CHANNELS).double()
    spectra.start_from(element_spectra())
    features, elements = inputs()
    found, expected = spectra(features, elements), element_spectra()[elements]
    # as many states, in slightly wider peaks
    torch.testing.assert_close(found.sum(dim=1), expected.sum(dim=1), rtol=1e-2, atol=0)
    assert (found - expected).abs().max() < 0.1
    torch.testing.assert_close(found[1], found[3], rtol=0, atol=0)


def test_parts_move_alone():
    """With the shift of one part, the states of this part move by it, and those of the others stay."""
    spectra = ShiftedSpectra(NUM_FEATURES, NUM_ELEMENTS, CHANNELS).double()
    spectra.start_from(element_spectra())
    features, elements = inputs()
    before = spectra(features, elements)
    with torch.no_grad():
        spectra.shifts.bias[2] = 1.0  # eV, from -6 to 0 eV
    after = spectra(features, elements)
    energies = CHANNELS.step * (torch.arange(CHANNELS.size) - CHANNELS.reference)
    others = (energies < -8.0) | (energies > 2.5)
    torch.testing.assert_close(after[:, others], before[:, others], rtol=1e-3, atol=1e-3)
    near = (energies > -5.0) & (energies < 0.5)
    torch.testing.assert_close(
        (energies * after)[:, near].sum(1) / after[:, near].sum(1),
        (energies * before)[:, near].sum(1) / before[:, near].sum(1) + 1.0,
        rtol=0,
        atol=0.15,
    )


def test_shifts_are_continuous_and_have_gradients():
    spectrum = torch.rand(1, 30, dtype=torch.float64)
    torch.testing.assert_close(moved(spectrum, torch.tensor([3.0], dtype=torch.float64))[0, 3:], spectrum[0, :-3])
    torch.testing.assert_close(moved(spectrum, torch.tensor([-3.0], dtype=torch.float64))[0, :-3], spectrum[0, 3:])
    shift = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s: moved(spectrum, s), (shift,))
    assert not moved(spectrum, torch.tensor([1e6], dtype=torch.float64)).any()


def test_scripted():
    spectra, arguments = make(), inputs()
    torch.testing.assert_close(torch.jit.script(spectra)(*arguments), spectra(*arguments), rtol=0, atol=0)


def test_a_single_part():
    """Spectra of phonons: nothing divides them, and they begin with those of the elements."""
    channels = SpectrumChannels(size=51, step=0.6, reference=0.0, smearing=None, edges=())
    spectra = ShiftedSpectra(NUM_FEATURES, NUM_ELEMENTS, channels).double()
    assert spectra.num_parts == 1
    known = torch.rand(NUM_ELEMENTS, 51, dtype=torch.float64)
    spectra.start_from(known)
    features, elements = inputs()
    torch.testing.assert_close(spectra(features, elements), known[elements], rtol=0, atol=2e-5)
