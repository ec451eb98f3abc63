"""The picture that comes with a data set."""

import matplotlib.figure
import numpy as np
import pytest
from ase.build import bulk
from ase.data import chemical_symbols

from electrain.data import choose_axis, make_sample
from electrain.data.figure import plot_summary
from electrain.data.fixed.figure import plot_spectra_summary
from electrain.data.fixed.spectrum import FixedSpectrum
from electrain.data.table import make_row
from electrain.plots.periodic_table import _place
from electrain.spectra.fixed_axis import FixedAxis


@pytest.mark.parametrize(
    ("symbol", "column", "period"),
    [
        ("H", 1, 1),
        ("He", 18, 1),
        ("Be", 2, 2),
        ("B", 13, 2),
        ("Ar", 18, 3),
        ("Ca", 2, 4),
        ("Sc", 3, 4),
        ("Zn", 12, 4),
        ("Xe", 18, 5),
        ("Ba", 2, 6),
        ("Hf", 4, 6),
        ("Au", 11, 6),
        ("Rn", 18, 6),
        ("Ra", 2, 7),
    ],
)
def test_the_periodic_table(symbol, column, period):
    assert _place(chemical_symbols.index(symbol)) == (column - 1, period - 1)


def test_no_two_elements_in_one_place():
    assert len({_place(number) for number in range(1, 104)}) == 103


def test_axes_have_units(make_calculation, tmp_path, monkeypatch):
    calculations = [make_calculation(seed=seed) for seed in range(3)]
    samples = [make_sample(calculation, step=0.05, smearing=0.3) for calculation in calculations]
    rows = [make_row(0, i, c, s) for i, (c, s) in enumerate(zip(calculations, samples, strict=True))]
    figures = []
    save = matplotlib.figure.Figure.savefig
    monkeypatch.setattr(
        matplotlib.figure.Figure, "savefig", lambda self, *a, **k: (figures.append(self), save(self, *a, **k))
    )
    plot_summary(samples, rows, choose_axis(calculations, step=0.05, smearing=0.3, max_shift=1.0), tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000
    panels = figures[0].axes
    assert len(panels) == 5
    assert panels[0].get_ylabel() == "DOS (states/eV)"
    assert panels[2].get_xlabel().startswith(r"$E - E_\mathrm{F}$ (eV)")
    assert panels[3].get_xlabel() == r"highest trusted energy $E_\mathrm{max} - E_\mathrm{F}$ (eV)"
    assert panels[4].get_title(loc="left") == "1 elements; number of structures with each"


@pytest.mark.parametrize(
    "target, unit, labels",
    [
        ("mtt::phonon_dos", "THz", ("DOS (states/THz)", "frequency (THz)", "DOS per atom (states/THz)")),
        ("mtt::phonon_dos_normalized", "cm^-1", ("DOS (normalised)", "wavenumber (cm$^{-1}$)", "DOS (normalised)")),
        ("mtt::electronic_dos", "eV", ("DOS (states/eV)", r"$E - E_\mathrm{F}$ (eV)", "DOS per atom (states/eV)")),
    ],
)
def test_spectra_on_their_axis(tmp_path, monkeypatch, target, unit, labels):
    axis = FixedAxis(0.0, 1.0, 11, unit)
    values = np.linspace(0, 6, 11)
    unknown = np.where(values > 5, np.nan, values)
    spectra = [FixedSpectrum(bulk(name), axis, values, name, row) for row, name in enumerate(("Si", "Al"))]
    figures = []
    save = matplotlib.figure.Figure.savefig
    monkeypatch.setattr(
        matplotlib.figure.Figure, "savefig", lambda self, *a, **k: (figures.append(self), save(self, *a, **k))
    )
    plot_spectra_summary(target, axis, spectra, [unknown, unknown], tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000
    panels = figures[0].axes
    assert (panels[0].get_ylabel(), panels[1].get_xlabel(), panels[2].get_ylabel()) == labels
    assert [panel.get_title(loc="left") for panel in panels[:3]] == ["Si$_2$", "Al", "2 structures"]
    at_zero = [sum(list(line.get_xdata()) == [0.0, 0.0] for line in panel.lines) for panel in panels[:3]]
    assert at_zero == ([1, 1, 1] if unit == "eV" else [0, 0, 0])  # the Fermi level
    median = panels[2].lines[0].get_ydata()
    assert median[5] == pytest.approx(3.0 if target.endswith("normalized") else (3.0 / 2 + 3.0) / 2)
    assert np.isnan(median[-1])
