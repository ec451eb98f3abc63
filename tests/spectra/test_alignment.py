import pytest
import torch
from spectra_references import lower_channels, random_batch, slow_costs

from electrain.spectra import alignment, best_shift, take_window


@pytest.fixture(autouse=True, params=["as on CPUs", "as on GPUs"])
def way_of_summing(request, monkeypatch):
    """All tests with both sums of squares."""
    if request.param == "as on GPUs":
        monkeypatch.setattr(
            alignment,
            "_sums_over_runs",
            lambda square_sums, trusted, _: alignment._sums_by_transform(square_sums.diff(dim=1), trusted),
        )


def assert_best(prediction, target, trusted):
    """Each shift is the smallest of those that brute force finds best, up to round-off."""
    for row, shift in enumerate(best_shift(prediction, target, trusted).tolist()):
        costs = slow_costs(prediction[row], target[row], trusted[row])
        scale = 1e-9 * (1e-300 + max(costs))
        expected = next(i for i, cost in enumerate(costs) if cost <= min(costs) + scale)
        assert shift == expected, (row, shift, expected)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("max_shift", [0, 1, 9])
def test_brute_force_on_noise(seed, max_shift):
    assert_best(*random_batch(seed, [23, 0, 1, 5, 17, 22], max_shift=max_shift))


@pytest.mark.parametrize("seed", range(8))
def test_brute_force_with_whole_numbers_which_tie(seed):
    generator = torch.Generator().manual_seed(seed)
    prediction = torch.randint(-1, 2, (40, 8), generator=generator).double()
    target = torch.randint(0, 2, (40, 5), generator=generator).double()
    assert_best(prediction, target, torch.rand(40, 5, generator=generator) > 0.3)


@pytest.mark.parametrize("fill", [0.0, -1.0, 1.0])
def test_brute_force_on_flat_predictions(fill):
    _, target, trusted = random_batch(0, [23, 7])
    assert_best(torch.full((2, 32), fill, dtype=torch.float64), target, trusted)


@pytest.mark.parametrize("shift", [0, 1, 4, 9])
def test_every_shift_is_found(shift):
    target = torch.rand(3, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) + 0.1
    prediction = torch.zeros(3, 29, dtype=torch.float64)
    prediction[:, shift : shift + 20] = target
    assert best_shift(prediction, target, torch.ones(3, 20, dtype=torch.bool)).tolist() == [shift] * 3


def test_values_below_one_are_not_rounded_away():
    # All of this is zero as whole numbers.
    target = 1e-3 * torch.rand(1, 30, generator=torch.Generator().manual_seed(2))
    prediction = torch.zeros(1, 40)
    prediction[:, 6:36] = target
    assert best_shift(prediction, target, torch.ones(1, 30, dtype=torch.bool)).item() == 6


def test_shift_is_towards_higher_channels_of_the_prediction():
    # An asymmetric target: neither its mirror image nor the opposite sign of the shift fits.
    target = torch.tensor([[0.0, 3.0, 1.0, 0.0]])
    prediction = torch.tensor([[0.0, 1.0, 0.0, 3.0, 1.0, 0.0, 0.0]])
    assert best_shift(prediction, target, torch.ones(1, 4, dtype=torch.bool)).item() == 2


def test_states_below_the_window_cost():
    # The upper peak fits as well as the lower one, but leaves the lower one below the window.
    target = torch.tensor([[0.0, 1.0, 0.0]])
    prediction = torch.tensor([[0.0, 1.0, 0.0, 0.0, 1.0, 0.0]])
    trusted = torch.ones(1, 3, dtype=torch.bool)
    assert best_shift(prediction, target, trusted).item() == 0
    assert best_shift(prediction * torch.tensor([1.0, 0, 1, 1, 1, 1]), target, trusted).item() == 3


def test_a_batch_is_its_structures():
    prediction, target, trusted = random_batch(3, [23, 0, 4, 11, 19], num_channels=23)
    together = best_shift(prediction, target, trusted)
    alone = [best_shift(prediction[i : i + 1], target[i : i + 1], trusted[i : i + 1]) for i in range(5)]
    assert torch.equal(together, torch.cat(alone))


def test_untrusted_channels_do_not_matter():
    prediction, target, trusted = random_batch(4, [6, 15])
    expected = best_shift(prediction, torch.where(trusted, target, 0.0), trusted)
    for value in (torch.nan, torch.inf, 1e300):
        assert torch.equal(best_shift(prediction, torch.where(trusted, target, value), trusted), expected)


def test_single_precision_finds_the_same_shift():
    prediction, target, trusted = random_batch(5, [23, 9, 14])
    single = best_shift(prediction.float(), target.float(), trusted)
    assert torch.equal(single, best_shift(prediction.float().double(), target.float().double(), trusted))


def test_window_is_a_slice_with_gradients_only_inside():
    prediction = torch.arange(14.0, dtype=torch.float64).reshape(2, 7).requires_grad_()
    window = take_window(prediction, torch.tensor([0, 3]), 4)
    assert window.tolist() == [[0, 1, 2, 3], [10, 11, 12, 13]]
    window.sum().backward()
    assert prediction.grad.tolist() == [[1, 1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1, 1]]


def test_masks_are_bool():
    prediction, target, trusted = random_batch(0, [5])
    with pytest.raises(TypeError, match=r"bool mask of trusted channels, got torch\.int32"):
        best_shift(prediction, target, trusted.int())


@pytest.mark.parametrize(
    "prediction, target",
    [((2, 9), (2, 10)), ((2, 9), (3, 9)), ((9,), (9,)), ((2, 1, 9), (2, 1, 9))],
)
def test_shapes_that_do_not_fit_are_named(prediction, target):
    with pytest.raises(ValueError, match=r"num_channels <= num_predicted, got \("):
        best_shift(torch.zeros(prediction), torch.zeros(target), torch.ones(target, dtype=torch.bool))


def test_mask_has_the_shape_of_the_target():
    with pytest.raises(ValueError, match=r"got \(2, 9\), \(2, 9\) and \(2, 8\)"):
        best_shift(torch.zeros(2, 9), torch.zeros(2, 9), lower_channels([3, 4], 8))
