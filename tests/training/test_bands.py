"""Loss and errors of bands against plain loops."""

import numpy as np
import pytest
import torch
from metatensor.torch import TensorMap
from metatrain.utils.data import TargetInfo
from tiny_models import dataset_info, model_hypers, scalar_info, system_map

from electrain.architectures.pet_mad.model import PETMAD
from electrain.interface.band_labels import BandsShape, bands_to_labels
from electrain.interface.quantities import BANDS
from electrain.training.bands import BandsLoss
from electrain.training.losses import check_pointwise, default_losses
from electrain.training.processes import Process

SHAPE = BandsShape(3, 5)


def maps(values) -> dict[str, TensorMap]:
    return {BANDS: system_map(torch.as_tensor(values).reshape(-1, 15), bands_to_labels(SHAPE))}


def bands(count=4, seed=0):
    """Bands in eV, and others with bands that were not computed, some of their k-points, and a whole structure."""
    random = np.random.default_rng(seed)
    predicted, expected = random.normal(size=(2, count, *SHAPE)) + 3.0 * np.arange(3)[:, None]
    expected[1, 2] = expected[2, 0, 3:] = expected[3] = np.nan
    return predicted, expected


def slow_errors(predicted, expected):
    """Energies, squares, centers and dispersions of a structure."""
    energies, centers, dispersions = [], [], []
    for p, t in zip(predicted, expected, strict=True):
        known = [k for k in range(len(t)) if not np.isnan(t[k])]
        if not known:
            continue
        center_p, center_t = np.mean(p[known]), np.mean(t[known])
        centers.append(abs(center_p - center_t))
        for k in known:
            energies.append(abs(p[k] - t[k]))
            dispersions.append(abs((p[k] - center_p) - (t[k] - center_t)))
    return [np.mean(energies), np.mean(np.square(energies)), np.mean(centers), np.mean(dispersions)]


@pytest.mark.parametrize("dispersion_weight", [1.0, 0.25])
def test_means_over_bands_and_structures(dispersion_weight):
    predicted, expected = bands()
    slow = np.array([slow_errors(*pair) for pair in zip(predicted[:3], expected[:3], strict=True)])
    loss = BandsLoss(BANDS, SHAPE, weight=2.0, dispersion_weight=dispersion_weight)
    values = torch.tensor(predicted, requires_grad=True)
    found = loss(maps(values), maps(expected), [None] * 4)
    assert float(found.means.detach()) == pytest.approx(
        2.0 * (slow[:, 2] + dispersion_weight * slow[:, 3]).mean(), rel=1e-12
    )
    assert found.counts.tolist() == [3]
    found.means.sum().backward()
    assert values.grad.isfinite().all() and (values.grad[3] == 0).all() and (values.grad[1, 2] == 0).all()
    errors = loss.new_errors(Process(torch.device("cpu")))
    errors.add(*found.errors)
    errors.add(*loss(maps(predicted[3:]), maps(expected[3:]), [None]).errors)  # of nothing
    means = slow.mean(axis=0)
    assert errors.finalize() == pytest.approx(
        {
            f"{BANDS} MAE [eV]": means[0],
            f"{BANDS} RMSE [eV]": means[1] ** 0.5,
            f"{BANDS} centers MAE [eV]": means[2],
            f"{BANDS} dispersions MAE [eV]": means[3],
        }
    )
    assert loss.new_errors(Process(torch.device("cpu"))).finalize() == {}


def test_at_least_the_error_of_energies():
    predicted, expected = bands()
    found = BandsLoss(BANDS, SHAPE)(maps(predicted), maps(expected), [None] * 4)
    assert float(found.means) >= float(found.errors[0][0].mean())


def test_options():
    infos = {BANDS: TargetInfo(maps(np.zeros((0, 15)))[BANDS], "", "eV", "")}
    (term,) = default_losses(infos, {BANDS: {"type": "mse", "weight": 3.0, "dispersion_weight": 0.5}}, {}, [], None)
    assert (term.shape, term.weight, term.dispersion_weight) == (SHAPE, 3.0, 0.5)
    assert default_losses(infos, "mae", {}, [], None)[0].dispersion_weight == 1.0
    for options, message in (
        ({"type": "rmse"}, "the loss of 'mtt::bands' is always 'bands', got 'rmse'"),
        ({"reduction": "sum"}, "is a mean over structures, got reduction 'sum'"),
        (
            {"gradient_weight": 1.0},
            r"\['gradient_weight'\] .*; expected weight and dispersion_weight",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            default_losses(infos, {BANDS: options}, {}, [], None)
    with pytest.raises(ValueError, match="no `dispersion_weight`, which is an option of the loss of bands"):
        check_pointwise("energy", {"dispersion_weight": 1.0})


def test_other_architectures_refuse_bands():
    info = dataset_info()
    info.targets[BANDS] = scalar_info(BANDS, 15)
    with pytest.raises(ValueError, match="is predicted for k-points, which 'pet_mad' does not read; use 'bandformer'"):
        PETMAD(model_hypers(), info)
