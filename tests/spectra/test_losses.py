import pytest
import torch
from spectra_references import gaussian, lower_channels, random_batch, slow_terms

from electrain.spectra import EnergyGrid, spectral_loss, spectral_loss_terms

LENGTHS = [23, 0, 1, 5, 17, 22]
STEP = 0.05
WEIGHTS = {"step": STEP, "gradient_weight": 1e-4, "cumulative_weight": 2.0}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("max_shift", [0, 9])
def test_terms_match_the_loops(seed, max_shift):
    prediction, target, trusted = random_batch(seed, LENGTHS, max_shift=max_shift)
    terms = spectral_loss_terms(prediction, target, trusted, STEP)
    expected = [slow_terms(*row, STEP) for row in zip(prediction, target, trusted, strict=True)]
    torch.testing.assert_close(torch.stack(terms[:3], dim=1), torch.tensor(expected, dtype=torch.float64))


def test_loss_is_the_weighted_mean_per_atom():
    prediction, target, trusted = random_batch(0, LENGTHS)
    num_atoms = torch.tensor([1, 2, 3, 4, 5, 60])
    rows = zip(prediction, target, trusted, num_atoms, strict=True)
    terms = [(slow_terms(*row, STEP), float(atoms)) for *row, atoms in rows]
    expected = sum((al + 1e-4 * gl + 2.0 * cl) / atoms for (al, gl, cl), atoms in terms)
    expected /= sum(length > 0 for length in LENGTHS)
    assert spectral_loss(prediction, target, trusted, num_atoms, **WEIGHTS).item() == pytest.approx(expected)


def test_a_batch_is_its_structures_for_values_and_gradients():
    prediction, target, trusted = random_batch(1, LENGTHS)
    num_atoms = torch.arange(1, 7)
    prediction.requires_grad_()
    loss = spectral_loss(prediction, target, trusted, num_atoms, **WEIGHTS)
    (together,) = torch.autograd.grad(loss, prediction)
    losses, gradients = [], []
    for i in range(6):
        row = slice(i, i + 1)
        one = spectral_loss(prediction[row], target[row], trusted[row], num_atoms[row], **WEIGHTS)
        losses.append(one)
        gradients.append(torch.autograd.grad(one, prediction)[0])
    num_present = sum(length > 0 for length in LENGTHS)
    torch.testing.assert_close(loss, torch.stack(losses).sum() / num_present)
    torch.testing.assert_close(together, torch.stack(gradients).sum(dim=0) / num_present)


@pytest.mark.parametrize("term", ["alignment", "gradient", "cumulative"])
def test_gradients_of_each_term(term):
    prediction, target, trusted = random_batch(2, [11, 0, 4], num_channels=11, max_shift=4)

    # Far from a tie, the small steps of gradcheck leave the best shift where it is.
    def value(values):
        return getattr(spectral_loss_terms(values, target, trusted, STEP), term)

    assert torch.autograd.gradcheck(value, prediction.requires_grad_())


def smooth_pair(step, offset=1.0):
    """Two peaks that differ, in a window of 12 eV; the prediction's window begins 2 eV lower."""
    window = EnergyGrid(-6.0, step, round(12 / step))
    longer = window.extended_below(round(2 / step))
    target = gaussian(window.energies(), -1.0, 0.6) + gaussian(window.energies(), 3.0, 0.6)
    wide = gaussian(longer.energies(), -1.0 - offset, 0.7) + gaussian(longer.energies(), 3.0 - offset, 0.6)
    trusted = window.energies() < 4.0 + step / 2
    return wide[None], target[None], trusted[None]


def test_two_steps_give_the_same_physics():
    coarse = spectral_loss_terms(*smooth_pair(0.05), step=0.05)
    fine = spectral_loss_terms(*smooth_pair(0.0125), step=0.0125)
    assert fine.shift.item() == 4 * coarse.shift.item()
    for name in ("alignment", "gradient", "cumulative"):
        assert getattr(coarse, name).item() > 1e-4
        assert getattr(coarse, name).item() == pytest.approx(getattr(fine, name).item(), rel=0.05), name


def test_a_rigid_shift_of_the_target_changes_nothing():
    prediction, target, trusted = smooth_pair(0.05)
    here = spectral_loss_terms(prediction, target, trusted, 0.05)
    assert here.shift.item() > 7
    moved = torch.nn.functional.pad(target, (7, 0))[:, :-7]
    moved_trusted = torch.nn.functional.pad(trusted, (7, 0), value=True)[:, :-7]
    there = spectral_loss_terms(prediction, moved, moved_trusted, 0.05)
    assert there.shift.item() == here.shift.item() - 7
    for name in ("alignment", "gradient", "cumulative"):
        torch.testing.assert_close(getattr(there, name), getattr(here, name), rtol=1e-6, atol=1e-12)


def test_alignment_is_blind_to_a_shift_whatever_the_prediction():
    prediction, target, trusted = random_batch(3, [12, 8], max_shift=9)
    prediction[:, 4:] += 5.0
    target = torch.where(trusted, target + 5.0, torch.nan)
    here = spectral_loss_terms(prediction, target, trusted, STEP)
    assert (here.shift >= 2).all()
    moved = torch.nn.functional.pad(target, (2, 0))[:, :-2]
    there = spectral_loss_terms(prediction, moved, lower_channels([14, 10], 23), STEP)
    assert torch.equal(there.shift, here.shift - 2)
    torch.testing.assert_close(there.alignment, here.alignment)
    torch.testing.assert_close(there.gradient, here.gradient)


def test_terms_grow_with_the_square_of_the_cell():
    prediction, target, trusted = random_batch(4, LENGTHS)
    one = spectral_loss_terms(prediction, target, trusted, STEP)
    three = spectral_loss_terms(3 * prediction, 3 * target, trusted, STEP)
    assert torch.equal(one.shift, three.shift)
    torch.testing.assert_close(torch.stack(three[:3]), 9 * torch.stack(one[:3]))


def test_a_perfect_prediction_at_any_shift_costs_nothing():
    target = torch.rand(10, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    prediction = torch.zeros(10, 29, dtype=torch.float64)
    for shift in range(10):
        prediction[shift, shift : shift + 20] = target[shift]
    terms = spectral_loss_terms(prediction, target, torch.ones(10, 20, dtype=torch.bool), STEP)
    assert terms.shift.tolist() == list(range(10))
    assert not terms.alignment.any() and not terms.cumulative.any()


@pytest.mark.parametrize("where", ["above", "front"])
def test_nan_outside_of_the_mask_never_leaks(where):
    prediction, target, trusted = random_batch(6, [12, 20])
    if where == "front":
        trusted = trusted.flip(1)
    results = []
    for value in (0.0, torch.nan, torch.inf):
        leaf = prediction.clone().requires_grad_()
        filled = torch.where(trusted, target.nan_to_num(), value)
        loss = spectral_loss(leaf, filled, trusted, torch.tensor([2, 3]), **WEIGHTS)
        loss.backward()
        results.append((loss.detach(), leaf.grad))
    for loss, gradient in results:
        assert loss.isfinite() and gradient.isfinite().all()
        torch.testing.assert_close((loss, gradient), results[0], rtol=0, atol=0)


def test_without_trusted_channels_nothing_is_contributed():
    prediction, target, trusted = random_batch(7, [0, 0])
    prediction.requires_grad_()
    loss = spectral_loss(prediction, target, trusted, torch.tensor([1, 1]), **WEIGHTS)
    loss.backward()
    assert loss.item() == 0.0
    assert not prediction.grad.any()


def test_a_target_cannot_be_matched_with_nothing():
    # Shifts into padding would leave sum(target^2) and no gradient at all.
    target = torch.rand(1, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(8))
    prediction = torch.full((1, 29), -1.0, dtype=torch.float64, requires_grad=True)
    terms = spectral_loss_terms(prediction, target, torch.ones(1, 20, dtype=torch.bool), STEP)
    assert terms.alignment.item() > STEP * (target**2).sum().item() * 1.5
    (gradient,) = torch.autograd.grad(terms.alignment.sum(), prediction)
    assert (gradient[0, :20] < 0).all()


def test_gradient_term_sees_the_prediction_only():
    # A level that goes on to the end of the prediction is smooth: no padding may make a cliff of it.
    prediction = torch.full((1, 29), 3.0, dtype=torch.float64)
    target = torch.full((1, 20), 3.0, dtype=torch.float64)
    terms = spectral_loss_terms(prediction, target, lower_channels([8], 20), STEP)
    assert terms.gradient.item() == 0.0
    # Channels past the target's end count.
    prediction[0, -1] = 4.0
    terms = spectral_loss_terms(prediction, target, lower_channels([8], 20), STEP)
    assert terms.shift.item() == 0
    assert terms.gradient.item() == pytest.approx(1.0 / STEP)


def test_small_losses_survive_single_precision():
    target = 100.0 + torch.rand(1, 1000, generator=torch.Generator().manual_seed(9))
    prediction = torch.cat([torch.zeros(1, 50), target + 1e-3, target[:, -50:]], dim=1)
    trusted = torch.ones(1, 1000, dtype=torch.bool)
    terms = spectral_loss_terms(prediction, target, trusted, STEP)
    exact = STEP * ((prediction[:, 50:1050].double() - target.double()) ** 2).sum()
    assert terms.shift.item() == 50
    assert terms.alignment.dtype == torch.float32
    assert terms.alignment.item() == pytest.approx(exact.item(), rel=1e-4)


def test_one_number_of_atoms_for_each_structure():
    prediction, target, trusted = random_batch(0, LENGTHS)
    for shape in [(6, 1), (1,), ()]:
        with pytest.raises(ValueError, match="each of the 6 structures, got shape"):
            spectral_loss(prediction, target, trusted, torch.ones(shape), **WEIGHTS)


def test_masks_are_bool():
    prediction, target, trusted = random_batch(0, LENGTHS)
    with pytest.raises(TypeError, match="bool mask"):
        spectral_loss_terms(prediction, target, trusted.long(), STEP)
