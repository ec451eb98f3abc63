"""Spectra of several models: aligned and averaged, against brute force and invariances."""

import math

import pytest
import torch
from spectra_references import gaussian

from electrain.spectra import EnergyAxis, EnergyGrid, average_models, moved_down

AXIS = EnergyAxis(EnergyGrid(-4.0, 0.1, 80), max_shift=12)
SHIFTS = (0, 5, -7)


def spectrum(seed, size=80):
    """Peaks in the middle of the axis, with nothing within the largest shift of its ends."""
    generator = torch.Generator().manual_seed(seed)
    centers = 25 + (size - 50) * torch.rand(4, generator=generator, dtype=torch.float64)
    heights = 1 + torch.rand(4, generator=generator, dtype=torch.float64)
    channels = torch.arange(size, dtype=torch.float64)
    return sum(height * gaussian(channels, center, 2.0) for center, height in zip(centers, heights, strict=True))


def similar_spectra(num_models, seed=0):
    """One spectrum with a different small error and zero of energy for each model."""
    errors = [spectrum(100 + seed + model) for model in range(num_models)]
    spectra = torch.stack([spectrum(seed) + 0.2 * error for error in errors])
    return moved_down(spectra, -torch.tensor(SHIFTS[:num_models]))


def slowly_moved(spectrum, shift):
    moved = []
    for channel in range(len(spectrum)):
        source = channel + shift
        moved.append(0.0 if source < 0 else float(spectrum[min(source, len(spectrum) - 1)]))
    return torch.tensor(moved, dtype=torch.float64)


@pytest.mark.parametrize("shift", [-30, -3, 0, 1, 8, 25])
def test_moving(shift):
    spectra = torch.rand(3, 20, dtype=torch.float64)
    moved = moved_down(spectra, torch.tensor([shift, 0, -shift]))
    for row, own in enumerate((shift, 0, -shift)):
        torch.testing.assert_close(moved[row], slowly_moved(spectra[row], own), rtol=0, atol=0)


@pytest.mark.parametrize("seed", range(4))
def test_against_loops(seed):
    """The shift of each model onto the first by trying all; then the common zero, mean and spread by loops."""
    spectra = similar_spectra(3, seed)
    levels = torch.tensor([0.3, 0.9, -0.2], dtype=torch.float64)

    def cost(spectrum, shift):
        compared = (slowly_moved(spectrum, shift) - spectra[0])[: 80 - AXIS.max_shift]
        return float(compared.square().sum() + spectrum[: max(shift, 0)].square().sum())

    onto_first = [min(range(-12, 13), key=lambda shift, row=row: cost(row, shift)) for row in spectra]
    assert onto_first[0] == 0 and {abs(a - b) for a, b in zip(onto_first, SHIFTS, strict=True)} <= {0, 1}
    shifts = [shift - round(sum(onto_first) / 3) for shift in onto_first]
    found = average_models(spectra, AXIS, levels)
    assert found.shifts.tolist() == shifts
    moved = torch.stack([slowly_moved(row, shift) for row, shift in zip(spectra, shifts, strict=True)])
    torch.testing.assert_close(found.spectra, moved, rtol=0, atol=0)
    for channel in range(80):
        values = [float(value) for value in moved[:, channel]]
        mean = sum(values) / 3
        deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / 2)
        assert float(found.mean[channel]) == pytest.approx(mean, abs=1e-14)
        assert float(found.standard_deviation[channel]) == pytest.approx(deviation, abs=1e-12)
    expected = [level - 0.1 * shift for level, shift in zip(levels.tolist(), shifts, strict=True)]
    torch.testing.assert_close(found.fermi_levels, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-14)


@pytest.mark.parametrize("member", [0, 1, 2])
def test_the_zero_of_a_model_does_not_matter(member):
    """If a model's axis is moved, with its Fermi level, nothing changes relative to the common Fermi level."""
    spectra, levels = similar_spectra(3), torch.tensor([0.3, 0.9, -0.2], dtype=torch.float64)
    expected = average_models(spectra, AXIS, levels)
    for shift in (-4, 4):
        moves = torch.zeros(3, dtype=torch.int64)
        moves[member] = shift
        found = average_models(moved_down(spectra, moves), AXIS, levels - 0.1 * moves.double())
        # A third of the shift remains, in whole channels.
        change = (expected.fermi_levels - found.fermi_levels) / 0.1
        whole = change.round().long()
        torch.testing.assert_close(change, whole.double(), rtol=0, atol=1e-9)
        assert whole.unique().numel() == 1 and abs(int(whole[0])) in (1, 2)
        for name in ("mean", "standard_deviation"):
            back = moved_down(getattr(found, name)[None], -whole[:1])[0]
            torch.testing.assert_close(back, getattr(expected, name), rtol=0, atol=1e-6)


def test_without_alignment_the_mean_would_be_blurred():
    spectra = moved_down(spectrum(3).expand(3, -1), -torch.tensor(SHIFTS))
    assert float((spectra.mean(dim=0) - spectra[0]).abs().max()) > 0.1
    found = average_models(spectra, AXIS)
    assert found.shifts.tolist() == [shift + 1 for shift in SHIFTS]  # -2/3 on average, rounded
    torch.testing.assert_close(found.mean, moved_down(spectra[:1], found.shifts[:1])[0], rtol=0, atol=1e-12)


def test_order_of_the_others():
    spectra, order = similar_spectra(3), [0, 2, 1]
    one, other = average_models(spectra, AXIS), average_models(spectra[order], AXIS)
    torch.testing.assert_close(one.mean, other.mean)
    torch.testing.assert_close(one.standard_deviation, other.standard_deviation)
    torch.testing.assert_close(one.spectra[order], other.spectra)


def test_one_model_and_equal_models():
    one = average_models(spectrum(1)[None], AXIS, torch.tensor([0.7]))
    torch.testing.assert_close(one.mean, spectrum(1), rtol=0, atol=0)
    assert one.standard_deviation.isnan().all()  # nothing is known about it
    assert one.fermi_levels.tolist() == [pytest.approx(0.7)]
    for values in (spectrum(1), torch.zeros(80), torch.ones(80)):
        same = average_models(values.expand(4, -1), AXIS)
        torch.testing.assert_close(same.mean, values.double(), rtol=0, atol=1e-14)
        assert same.shifts.tolist() == [0] * 4 and float(same.standard_deviation.max()) < 1e-14


def test_an_axis_without_shifts():
    spectra = similar_spectra(3)
    found = average_models(spectra, EnergyAxis(AXIS.grid, max_shift=0))
    torch.testing.assert_close(found.mean, spectra.mean(dim=0))
    assert found.fermi_levels is None


def test_wrong_shapes():
    with pytest.raises(ValueError, match=r"expected spectra of shape \(num_models, 80\) .* got \(80,\)"):
        average_models(spectrum(0), AXIS)
    with pytest.raises(ValueError, match=r"of at least one model, got \(0, 80\)"):
        average_models(torch.zeros(0, 80), AXIS)
    with pytest.raises(ValueError, match="one Fermi level for each of the 3 models, got shape \\(2,\\)"):
        average_models(similar_spectra(3), AXIS, torch.zeros(2))
