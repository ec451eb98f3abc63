"""Statistical errors of correlated samples."""

import numpy as np
import pytest

from electrain.thermodynamics.block_averages import MAX_BLOCKS, BlockAverages, jackknife, jackknife_error

ONE = np.ones(1)


def gathered(samples):
    averages = BlockAverages()
    for sample in samples:
        averages.add(np.atleast_1d(sample))
    return averages


def correlated(number, memory, seed):
    """Autoregressive process of unit variance; the variance of its mean is (1 + a) / (1 - a) / n."""
    noise = np.random.default_rng(seed).normal(size=number)
    samples = np.zeros(number)
    samples[0] = noise[0]
    for i in range(1, number):
        samples[i] = memory * samples[i - 1] + (1 - memory**2) ** 0.5 * noise[i]
    return samples


def error_of_mean(blocks):
    return jackknife_error(jackknife(blocks.means))[0]


@pytest.mark.parametrize("number", [1, 7, 64, 127, 128, 129, 1000])
def test_blocks_are_means_of_consecutive_samples(number):
    samples = np.random.default_rng(0).normal(size=(number, 3))
    averages = gathered(samples)
    np.testing.assert_allclose(averages.mean(), samples.mean(axis=0), atol=1e-12)
    blocks = averages.blocks(np.ones(3))
    assert len(averages._blocks) < MAX_BLOCKS
    assert number < 64 or len(averages._blocks) >= 64 * (1 - 1 / 64)
    for index, mean in enumerate(blocks.means):
        own = samples[index * blocks.length : (index + 1) * blocks.length]
        np.testing.assert_allclose(mean, own.mean(axis=0), atol=1e-12)
    assert number - len(blocks.means) * blocks.length < max(2 * blocks.length, number // 8)


def test_error_of_independent_samples():
    """As many as there are blocks: the textbook's standard error."""
    samples = np.random.default_rng(1).normal(size=30)
    blocks = gathered(samples).blocks(ONE)
    assert blocks.length == 1
    assert blocks.are_independent
    assert error_of_mean(blocks) == pytest.approx(samples.std(ddof=1) / 30**0.5, rel=1e-12)


@pytest.mark.parametrize(("memory", "number"), [(0.0, 3000), (0.9, 3000), (0.98, 20000)])
def test_error_of_correlated_samples(memory, number):
    exact = ((1 + memory) / (1 - memory) / number) ** 0.5
    found = []
    for seed in range(20):
        blocks = gathered(correlated(number, memory, seed)).blocks(ONE)
        assert 8 <= len(blocks.means) <= 32
        found.append(error_of_mean(blocks))
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(exact, rel=0.2)


def test_a_drift_is_noticed():
    samples = np.random.default_rng(0).normal(size=500) + np.linspace(0.0, 5.0, 500)
    assert gathered(samples).blocks(ONE).are_independent is False
    assert gathered(np.full(500, 0.1)).blocks(ONE).are_independent


def test_few_samples():
    assert gathered(np.arange(7.0)).blocks(ONE).are_independent is None
    assert len(gathered([1.0]).blocks(ONE).means) == 1


def test_channels_below():
    averages = gathered(np.ones((300, 2)))
    averages.extend_below(2)
    averages.add(np.full(4, 4.0))
    np.testing.assert_allclose(averages.mean(), np.array([4.0, 4.0, 304.0, 304.0]) / 301)
    assert averages.blocks(np.ones(4)).means.shape[1] == 4
