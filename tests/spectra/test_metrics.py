import math

import pytest
import torch
from spectra_references import random_batch, slow_costs

from electrain.spectra import AlignedRMSE, electrons_in_target, rotational_discrepancy

STEP = 0.05
LENGTHS = [23, 4, 11, 19]


def errors(*batches):
    metric = AlignedRMSE(STEP)
    for batch in batches:
        metric.update(*batch)
    return metric.compute()


def batch_of(seed, lengths=LENGTHS):
    return (*random_batch(seed, lengths), torch.arange(1, len(lengths) + 1))


def test_electrons_are_the_integral_over_the_trusted_range():
    _, target, trusted = random_batch(0, LENGTHS)
    expected = [STEP * float(target[i, :length].sum()) for i, length in enumerate(LENGTHS)]
    assert electrons_in_target(target, trusted, STEP).tolist() == pytest.approx(expected)


def test_both_errors_match_the_formulas():
    prediction, target, trusted, num_atoms = batch_of(1)
    per_electron, per_atom = [], []
    for i, length in enumerate(LENGTHS):
        alignment = STEP * min(slow_costs(prediction[i], target[i], trusted[i]))
        per_electron.append(alignment / (STEP * float(target[i, :length].sum())))
        per_atom.append(alignment / float(num_atoms[i]) ** 2)
    result = errors((prediction, target, trusted, num_atoms))
    assert result.per_electron == pytest.approx(math.sqrt(sum(per_electron) / 4))
    assert result.per_atom == pytest.approx(math.sqrt(sum(per_atom) / 4))
    assert result.num_structures == 4


def test_batches_structures_and_sums_of_workers_agree():
    first, second = batch_of(2), batch_of(3)
    together = errors(first, second)
    one_by_one = [tuple(part[i : i + 1] for part in batch) for batch in (first, second) for i in range(4)]
    assert errors(*one_by_one) == pytest.approx(together)
    workers = [AlignedRMSE(STEP), AlignedRMSE(STEP)]
    for worker, batch in zip(workers, (first, second), strict=True):
        worker.update(*batch)
    workers[0].sums += workers[1].sums
    assert workers[0].compute() == pytest.approx(together)


def test_supercell_leaves_the_error_per_atom_alone():
    prediction, target, trusted, num_atoms = batch_of(4)
    cell = errors((prediction, target, trusted, num_atoms))
    supercell = errors((8 * prediction, 8 * target, trusted, 8 * num_atoms))
    assert supercell.per_atom == pytest.approx(cell.per_atom)
    assert supercell.per_electron == pytest.approx(math.sqrt(8) * cell.per_electron)


def test_a_rigid_shift_is_no_error():
    target = torch.rand(1, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    prediction = torch.nn.functional.pad(target, (6, 3))
    trusted = torch.ones(1, 20, dtype=torch.bool)
    assert errors((prediction, target, trusted, torch.tensor([1]))).per_electron == 0.0


def test_structures_without_electrons_are_left_out():
    full = batch_of(5)
    with_empty = batch_of(5)
    with_empty[2][1] = False
    kept = tuple(part[[0, 2, 3]] for part in full)
    assert errors(with_empty) == pytest.approx(errors(kept))
    with pytest.raises(ValueError, match="no structure with electrons in the trusted range"):
        errors(batch_of(5, [0, 0]))


def test_atoms_have_one_number_for_each_structure():
    prediction, target, trusted, num_atoms = batch_of(6)
    with pytest.raises(ValueError, match=r"each of the 4 structures, got shape \(4, 1\)"):
        AlignedRMSE(STEP).update(prediction, target, trusted, num_atoms[:, None])


def test_rotational_discrepancy_matches_the_formula():
    prediction, target, trusted = random_batch(7, LENGTHS)
    noise = torch.randn(5, *prediction.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    rotated = prediction + 0.1 * noise
    result = rotational_discrepancy(rotated, target, trusted, STEP)
    for i, length in enumerate(LENGTHS):
        mean = sum(rotated[r, i] for r in range(5)) / 5
        costs = slow_costs(mean, target[i], trusted[i])
        window = slice(costs.index(min(costs)), costs.index(min(costs)) + length)
        electrons = STEP * float(target[i, :length].sum())
        total = sum(STEP * float(((rotated[r, i] - mean)[window] ** 2).sum()) / electrons for r in range(5))
        assert result[i].item() == pytest.approx(math.sqrt(total / 5))


def test_predictions_that_agree_have_no_discrepancy():
    prediction, target, trusted = random_batch(8, LENGTHS)
    same = prediction.expand(4, -1, -1)
    assert rotational_discrepancy(same, target, trusted, STEP).tolist() == pytest.approx([0.0] * 4, abs=1e-14)


def test_rotations_are_the_leading_dimension():
    prediction, target, trusted = random_batch(8, LENGTHS)
    with pytest.raises(ValueError, match=r"\(num_rotations, batch, num_predicted\), got \(4, 32\)"):
        rotational_discrepancy(prediction, target, trusted, STEP)
