"""The axes in the manifest of a data set: `electrain prepare` writes them, trainings compare them with their own."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from electrain.spectra.axis import EnergyAxis
from electrain.spectra.fixed_axis import FixedAxis

from .band_labels import BandsShape

MANIFEST = "manifest.json"
REMEDY = "make the data set again with `electrain prepare`, in another folder"  # if one of its files is damaged


def axis_to_manifest(axis: EnergyAxis, *, with_given_spectra: bool = False) -> dict[str, Any]:
    """Return the entries of a manifest that describe the energy axis.

    :param with_given_spectra: whether some structures came with a density of states, which keeps its zero.
    """
    zero = (
        "the middle of a gap"
        if not with_given_spectra
        else ("the middle of a gap; of structures given with a density of states, the Fermi level given with it")
    )
    return {
        "energy_grid": {**asdict(axis.grid), "unit": "eV"},
        "max_shift": {"channels": axis.max_shift, "eV": round(axis.max_shift * axis.grid.step, 6)},
        "smearing": {"value": axis.smearing, "unit": "eV", "shape": "gaussian"},
        "reference": f"E = 0 is the DFT Fermi level of each structure, {zero}",
    }


def axis_from_manifest(manifest: Mapping[str, Any]) -> EnergyAxis:
    """Read the energy axis from a manifest: the inverse of :func:`axis_to_manifest`."""
    smearing, channels = manifest["smearing"]["value"], manifest["max_shift"]["channels"]
    return EnergyAxis.from_dict({**manifest["energy_grid"], "max_shift": channels, "smearing": smearing})


def fixed_axes_to_manifest(axes: Mapping[str, FixedAxis]) -> dict[str, Any]:
    """Return the entry of a manifest for the axes of spectra that are not shifted, by target."""
    return {name: axis.to_dict() for name, axis in axes.items()}


def fixed_axes_from_manifest(manifest: Mapping[str, Any]) -> dict[str, FixedAxis]:
    """Read the fixed axes from a manifest, none from one without: the inverse of :func:`fixed_axes_to_manifest`."""
    return {name: FixedAxis.from_dict(axis) for name, axis in manifest.get("fixed_axes", {}).items()}


def bands_to_manifest(shape: BandsShape) -> dict[str, Any]:
    """Return the entry of a manifest for bands along a path."""
    return dict(shape._asdict())


def bands_from_manifest(manifest: Mapping[str, Any]) -> BandsShape | None:
    """Read the numbers of bands and k-points from a manifest, ``None`` from one of other data."""
    return BandsShape(**manifest["bands"]) if "bands" in manifest else None
