import pytest
import torch
from spectra_references import gaussian, lower_channels, slow_costs

from electrain.evaluation import CompositionBaseline, composition_baseline
from electrain.spectra import EnergyGrid, best_shift

STEP = 0.1
NUM_CHANNELS = 100
MAX_SHIFT = 20
GRID = EnergyGrid(-6.0, STEP, NUM_CHANNELS + MAX_SHIFT)


def compounds(num_structures=40, seed=0, trusted_from=NUM_CHANNELS, noise=0.0):
    """Structures of three elements whose spectra add up, each target with a zero of its own."""
    generator = torch.Generator().manual_seed(seed)
    energies = GRID.energies()
    spectra = torch.stack(
        [
            gaussian(energies, -2.5, 0.3) + gaussian(energies, 2.5, 0.3),
            2 * gaussian(energies, -1.0, 0.3),
            gaussian(energies, 0.5, 0.3),
        ]
    )
    compositions = torch.randint(0, 4, (num_structures, 3), generator=generator)
    compositions[:, 0] += 1
    shifts = torch.randint(6, 15, (num_structures,), generator=generator)
    windows = shifts[:, None] + torch.arange(NUM_CHANNELS)
    targets = (compositions.double() @ spectra).gather(1, windows)
    targets += noise * torch.randn(targets.shape, generator=generator, dtype=torch.float64)
    lengths = torch.randint(trusted_from, NUM_CHANNELS + 1, (num_structures,), generator=generator)
    trusted = lower_channels(lengths, NUM_CHANNELS)
    return compositions, torch.where(trusted, targets, torch.nan), trusted, spectra


def objective(baseline, compositions, targets, trusted):
    """Mean alignment term per atom, by loops."""
    total = 0.0
    rows = zip(baseline.predict(compositions), targets, trusted, compositions, strict=True)
    for prediction, target, mask, counts in rows:
        total += STEP * min(slow_costs(prediction, target, mask)) / float(counts.sum())
    return total / len(targets)


@pytest.mark.parametrize("seed", range(3))
def test_spectra_of_the_elements_are_recovered(seed):
    # With few structures, groups of them can stay a channel apart: a local minimum.
    compositions, targets, trusted, spectra = compounds(num_structures=300, seed=seed, trusted_from=80)
    baseline = CompositionBaseline().fit(compositions, targets, trusted, MAX_SHIFT, STEP)
    assert baseline.losses[-1] < 1e-6 * baseline.losses[0]
    # The common zero of energy is free: compare at the best shift against the middle of the grid.
    inner = slice(MAX_SHIFT // 2, MAX_SHIFT // 2 + 75)
    shift = best_shift(baseline.spectra[:1], spectra[:1, inner], torch.ones(1, 75, dtype=torch.bool)).item()
    torch.testing.assert_close(baseline.spectra[:, shift : shift + 75], spectra[:, inner], rtol=0, atol=1e-3)


@pytest.mark.parametrize("seed", range(4))
def test_sweeps_never_raise_the_loss(seed):
    compositions, targets, trusted, _ = compounds(seed=seed, trusted_from=30, noise=0.05)
    baseline = CompositionBaseline(ridge=1e-9).fit(compositions, targets, trusted, MAX_SHIFT, STEP)
    assert len(baseline.losses) > 2
    for before, after in zip(baseline.losses[:-1], baseline.losses[1:], strict=True):
        assert after <= before + 1e-9


def test_reported_loss_is_that_of_the_predictions():
    compositions, targets, trusted, _ = compounds(num_structures=8, noise=0.1)
    baseline = CompositionBaseline().fit(compositions, targets, trusted, MAX_SHIFT, STEP)
    assert baseline.losses[-1] == pytest.approx(objective(baseline, compositions, targets, trusted), rel=1e-9)


def test_least_squares_match_a_dense_solve_channel_by_channel():
    compositions, targets, trusted, _ = compounds(num_structures=9, trusted_from=20, noise=0.1)
    # With a single shift to choose from, one linear problem is all there is.
    baseline = CompositionBaseline(ridge=1e-2).fit(compositions, targets, trusted, 0, STEP)
    for channel in range(NUM_CHANNELS):
        use = trusted[:, channel]
        counts = compositions[use].double()
        weighted = counts / counts.sum(dim=1, keepdim=True)
        matrix = weighted.T @ counts + 1e-2 * torch.eye(3, dtype=torch.float64)
        expected = torch.linalg.solve(matrix, weighted.T @ targets[use, channel])
        torch.testing.assert_close(baseline.spectra[:, channel], expected)


def test_blocks_change_nothing(monkeypatch):
    data = compounds(trusted_from=40, noise=0.05)[:3]
    whole = CompositionBaseline().fit(*data, MAX_SHIFT, STEP)
    monkeypatch.setattr(composition_baseline, "_STRUCTURES_PER_BLOCK", 7)
    monkeypatch.setattr(composition_baseline, "_CHANNELS_PER_BLOCK", 11)
    parts = CompositionBaseline().fit(*data, MAX_SHIFT, STEP)
    torch.testing.assert_close(parts.spectra, whole.spectra)
    assert parts.losses == pytest.approx(whole.losses)


def test_structures_without_trusted_channels_and_unseen_elements():
    compositions, targets, trusted, _ = compounds(num_structures=10)
    trusted[4] = False
    kept = [i for i in range(10) if i != 4]
    fitted = CompositionBaseline().fit(compositions, targets, trusted, MAX_SHIFT, STEP)
    without = CompositionBaseline().fit(compositions[kept], targets[kept], trusted[kept], MAX_SHIFT, STEP)
    torch.testing.assert_close(fitted.spectra, without.spectra)
    wider = torch.nn.functional.pad(compositions, (0, 1))
    unseen = CompositionBaseline().fit(wider, targets, trusted, MAX_SHIFT, STEP)
    assert not unseen.spectra[3].any()
    torch.testing.assert_close(unseen.spectra[:3], fitted.spectra)


def test_a_supercell_is_predicted_as_its_cells():
    compositions, targets, trusted, _ = compounds(num_structures=10)
    baseline = CompositionBaseline().fit(compositions, targets, trusted, MAX_SHIFT, STEP)
    torch.testing.assert_close(baseline.predict(5 * compositions), 5 * baseline.predict(compositions))
    assert baseline.predict(compositions).shape == (10, NUM_CHANNELS + MAX_SHIFT)


def test_errors_say_what_is_wrong():
    compositions, targets, trusted, _ = compounds(num_structures=4)
    baseline = CompositionBaseline()
    with pytest.raises(RuntimeError, match="call fit first"):
        baseline.predict(compositions)
    with pytest.raises(ValueError, match=r"got \(3, 3\) and \(4, 100\)"):
        baseline.fit(compositions[:3], targets, trusted, MAX_SHIFT, STEP)
    with pytest.raises(ValueError, match=r"bool mask .* got torch\.int64"):
        baseline.fit(compositions, targets, trusted.long(), MAX_SHIFT, STEP)
    with pytest.raises(ValueError, match="at least one atom in every composition"):
        baseline.fit(0 * compositions, targets, trusted, MAX_SHIFT, STEP)
    with pytest.raises(ValueError, match="without gaps"):
        baseline.fit(compositions, targets, lower_channels([50] * 4, 100).flip(1), MAX_SHIFT, STEP)
    with pytest.raises(ValueError, match="at least one structure with trusted channels"):
        baseline.fit(compositions, targets, torch.zeros_like(trusted), MAX_SHIFT, STEP)
    with pytest.raises(ValueError, match="positive ridge, got 0"):
        CompositionBaseline(ridge=0.0)
