"""Numbers that say whether uncertainties are right."""

import numpy as np
import pytest

from electrain.evaluation.uncertainties import Calibration


def test_gaussian_errors():
    random = np.random.default_rng(0)
    sizes = np.exp(random.normal(size=20000))
    values = Calibration(sizes * random.normal(size=20000), sizes, "eV")
    assert values.within(1) == pytest.approx(0.683, abs=0.01)
    assert values.within(2) == pytest.approx(0.954, abs=0.01)
    assert values.ratio == pytest.approx(1.0, abs=0.02)
    assert values.correlation > 0.5
    assert values._replace(uncertainties=3 * sizes).ratio == pytest.approx(1 / 3, abs=0.01)
