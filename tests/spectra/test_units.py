import ase.units
import pytest
from scipy import constants

from electrain.spectra.units import EV_PER, conversion_factor, known_unit


def test_published_values():
    """CODATA 2018 (NIST, "electron volt-hertz relationship" and its neighbors)."""
    assert conversion_factor("eV", "THz") == pytest.approx(241.7989242, rel=1e-9)
    assert conversion_factor("eV", "cm^-1") == pytest.approx(8065.543937, rel=1e-9)
    assert conversion_factor("THz", "cm^-1") == pytest.approx(33.35640952, rel=1e-9)
    assert conversion_factor("THz", "meV") == pytest.approx(4.135667696, rel=1e-9)
    assert conversion_factor("eV", "meV") == pytest.approx(1000.0, rel=1e-15)


def test_values_of_other_libraries():
    """ASE has values of CODATA 2014, in which they were not exact yet."""
    assert EV_PER["cm^-1"] == pytest.approx(ase.units.invcm, rel=1e-7)
    assert conversion_factor("eV", "cm^-1") == pytest.approx(
        constants.physical_constants["electron volt-inverse meter relationship"][0] / 100, rel=1e-9
    )
    assert conversion_factor("eV", "THz") == pytest.approx(
        constants.physical_constants["electron volt-hertz relationship"][0] / 1e12, rel=1e-9
    )


@pytest.mark.parametrize("unit", EV_PER)
@pytest.mark.parametrize("target", EV_PER)
def test_there_and_back(unit, target):
    assert conversion_factor(unit, target) * conversion_factor(target, unit) == pytest.approx(1.0, rel=1e-14)
    assert (conversion_factor(unit, target) == 1.0) == (unit == target)


@pytest.mark.parametrize("spelling", ["cm-1", "1/cm", "cm^{-1}", "cm**-1", "cm⁻¹", " cm^-1 "])
def test_spellings(spelling):
    assert known_unit(spelling) == "cm^-1"


@pytest.mark.parametrize("unit", ["MeV", "Hartree", "", "hz", "cm"])
def test_unknown_units(unit):
    with pytest.raises(ValueError, match=f"expected a unit of energy or frequency, eV, meV, THz, .*, got '{unit}'"):
        conversion_factor(unit, "eV")
