"""Exported models of bands: with metatomic alone, and in ASE, which knows no k-points."""

import json

import numpy as np
import pytest
import torch
from ase.build import bulk
from ase.calculators.calculator import all_changes
from band_models import crystal, make_model, predict_bands, random_paths, with_k_points
from metatomic.torch import load_atomistic_model
from metatomic_ase import MetatomicCalculator
from tiny_models import request

from electrain.interface.quantities import BANDS
from electrain.interface.states import K_POINTS


@pytest.mark.parametrize("options", [{}, {"k_encoding": "paper", "bands_as": "fourier"}], ids=["points", "fourier"])
def test_with_k_points(options, tmp_path):
    """The file gives the same bands as the model, and the same errors."""
    model = make_model(**options)
    model.export().save(tmp_path / "model.pt")
    loaded = load_atomistic_model(tmp_path / "model.pt")
    frames, paths = [crystal(), bulk("Si")], random_paths(2)
    expected = predict_bands(model, frames, paths).flatten(1)
    for _ in range(2):  # the second time with optimised code
        found = loaded.module(with_k_points(frames, paths, model), request([BANDS]), None)[BANDS].block()
        torch.testing.assert_close(found.values, expected, rtol=1e-10, atol=1e-10)
    assert found.properties.names == ["band", "k_point"] and found.properties.values[13].tolist() == [1, 1]
    assert json.loads(loaded.metadata().extra["optional_inputs"]) == [K_POINTS]
    assert loaded.capabilities().outputs[BANDS].unit == "eV"
    for wrong, message in (
        ([paths[0], None], "mtt::bands needs k-points, but structure 1 has none"),
        ([None, None], "mtt::bands needs k-points, but structure 0 has none"),
        ([paths[0], paths[1][:5]], "expected equally many k-points"),
        ([path[:5] for path in paths], "expected 12 k-points of each structure"),
        ([paths[0], 10 * paths[1]], "those in 1/Angstrom must be converted"),
        ([paths[0], np.full_like(paths[1], np.nan)], "got NaN or infinity for structure 1"),
    ):
        with pytest.raises(torch.jit.Error, match=message):
            loaded.module(with_k_points(frames, wrong, model), request([BANDS]), None)


def test_in_ase(tmp_path):
    """Energies need no k-points, which metatomic's calculator cannot pass on; bands say that they do."""
    model = make_model()
    model.export().save(tmp_path / "model.pt")
    atoms = crystal()
    atoms.calc = MetatomicCalculator(tmp_path / "model.pt", check_consistency=True)
    expected = model(with_k_points([atoms], [None], model), request(["energy"]))["energy"].block().values
    assert atoms.get_potential_energy() == pytest.approx(float(expected.detach()), abs=1e-8)
    assert np.isfinite(atoms.get_forces()).all()
    calculator = MetatomicCalculator(tmp_path / "model.pt", additional_outputs=request([BANDS]))
    with pytest.raises(
        torch.jit.Error, match="mtt::bands needs k-points, but structure 0 has none: add the fractional"
    ):
        calculator.calculate(atoms, ["energy"], all_changes)
