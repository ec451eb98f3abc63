"""The errors of a model recomputed in plain numpy loops: from raw eigenvalues and labels, and from the raw model."""

import math

import numpy as np
from metatomic.torch import ModelOutput
from metatomic_ase import MetatomicCalculator
from small_models import GRID

from electrain.calculators import Rotations

STEP, MAX_SHIFT, SMEARING = GRID["step"], GRID["max_shift"], GRID["smearing"]
ENERGIES = GRID["start"] + STEP * np.arange(GRID["size"])


class RawModel:
    """A model, one structure at a time."""

    def __init__(self, path):
        self.calculator = MetatomicCalculator(str(path), device="cpu", do_gradients_with_energy=False)

    def output(self, atoms, name):
        request = {name: ModelOutput(sample_kind="system")}
        return self.calculator.run_model(atoms, request)[name].block().values[0].detach().numpy()

    def energy(self, atoms):
        copy = atoms.copy()
        copy.calc = self.calculator
        stress = copy.get_stress(voigt=False) if copy.pbc.all() else None
        return copy.get_potential_energy(), copy.get_forces(), stress


def true_spectrum(frame):
    """Trusted channels above the first 100, loop by loop."""
    bands, weights = np.atleast_2d(frame.info["eigenvalues"]), np.atleast_1d(frame.info["kweights"])
    highest = min(max(row) for row in bands) - 3 * SMEARING
    values = []
    for energy in ENERGIES[MAX_SHIFT:]:
        if energy > highest + 1e-9:
            break
        total = 0.0
        for weight, row in zip(weights, bands, strict=True):
            for level in row:
                total += weight * math.exp(-0.5 * ((energy - level) / SMEARING) ** 2)
        values.append(total / (SMEARING * math.sqrt(2 * math.pi)))
    return np.array(values)


def best_shift(prediction, target):
    """Shift in channels, and the alignment term there."""
    costs = []
    for shift in range(MAX_SHIFT + 1):
        inside = sum((prediction[shift + i] - target[i]) ** 2 for i in range(len(target)))
        below = sum(prediction[j] ** 2 for j in range(shift))
        costs.append(STEP * (inside + below))
    shift = int(np.argmin(costs))
    return shift, costs[shift]


def crossing(count, energies, values):
    """Where the integral of a piecewise linear function first reaches a number of electrons."""
    total = 0.0
    for i in range(len(values) - 1):

        def below(width, i=i, start=total):
            end = values[i] + (values[i + 1] - values[i]) * width / STEP
            return start + 0.5 * (values[i] + end) * width

        if below(STEP) >= count:
            low, high = 0.0, STEP
            for _ in range(60):
                middle = 0.5 * (low + high)
                low, high = (low, middle) if below(middle) >= count else (middle, high)
            return energies[i] + high
        total = below(STEP)
    return None


def counted(energies, values, electrons, num_atoms):
    """Fermi level and gap the traditional way; NaN where there is none."""
    lower, upper = (crossing(electrons * (1 + sign * 1e-6), energies, values) for sign in (-1, 1))
    if lower is None:
        return math.nan, math.nan
    level = 0.5 * (lower + (energies[-1] if upper is None else upper))
    threshold = 0.1 * num_atoms
    if np.interp(level, energies, values) >= threshold:
        return level, 0.0
    edges = []
    for direction in (-1, 1):
        i = math.floor((level - energies[0]) / STEP) + (direction > 0)
        while 0 <= i < len(values) and values[i] < threshold:
            i += direction
        if not 0 <= i < len(values):
            return level, math.nan
        near, far = values[i - direction], values[i]
        edges.append(energies[i] - direction * STEP * (far - threshold) / (far - near))
    return level, edges[1] - edges[0]


def discrepancy(model, atoms, target):
    """Eq. 11."""
    spectra = []
    for matrix in Rotations.axis_directions(9).matrices:
        copy = atoms.copy()
        copy.set_cell(atoms.cell[:] @ matrix.T)
        copy.positions = atoms.positions @ matrix.T
        spectra.append(model.output(copy, "mtt::dos"))
    assert len(spectra) == 38
    mean = np.mean(spectra, axis=0)
    shift, _ = best_shift(mean, target)
    window = slice(shift, shift + len(target))
    spreads = [STEP * np.sum((spectrum - mean)[window] ** 2) for spectrum in spectra]
    return math.sqrt(np.mean(spreads) / (STEP * target.sum()))


def slow_errors(model, frame, *, rotate):
    """Everything about one structure, by the names of the report's table."""
    target, prediction = true_spectrum(frame), model.output(frame, "mtt::dos")
    shift, alignment = best_shift(prediction, target)
    electrons, num_atoms = frame.info["n_electrons"], len(frame)
    level, gap = counted(ENERGIES, prediction, electrons, num_atoms)
    target_energies = ENERGIES[MAX_SHIFT : MAX_SHIFT + len(target)]
    energy, forces, stress = model.energy(frame)
    results = frame.calc.results
    force_errors = forces - results["forces"]
    row = {
        "num_atoms": num_atoms,
        "alignment": alignment,
        "electrons": STEP * target.sum(),
        "discrepancy": discrepancy(model, frame, target) if rotate else math.nan,
        "true_gap": frame.info["bandgap"],
        "predicted_gap": model.output(frame, "mtt::bandgap")[0],
        "predicted_gap_counted": gap,
        "true_gap_counted": counted(target_energies, target, electrons, num_atoms)[1],
        "true_level": (shift - MAX_SHIFT) * STEP,
        "predicted_level": model.output(frame, "mtt::efermi")[0],
        "predicted_level_counted": level,
        "true_energy": results["energy"],
        "predicted_energy": energy,
        "num_forces": force_errors.size,
        "forces_absolute": sum(abs(value) for value in force_errors.ravel()),
        "forces_squared": sum(value**2 for value in force_errors.ravel()),
        "num_stresses": 0,
        "stresses_absolute": 0.0,
        "stresses_squared": 0.0,
    }
    if stress is not None and "stress" in results:
        errors = stress - frame.get_stress(voigt=False)
        row["num_stresses"] = errors.size
        row["stresses_absolute"] = sum(abs(value) for value in errors.ravel())
        row["stresses_squared"] = sum(value**2 for value in errors.ravel())
    return row


def mean_absolute(errors):
    known = [abs(error) for error in errors if not math.isnan(error)]
    return sum(known) / len(known)


def root_mean_square(errors):
    known = [error**2 for error in errors if not math.isnan(error)]
    return math.sqrt(sum(known) / len(known))


def slow_summary(rows):
    """The numbers of the summary for some structures."""
    pairs = {
        "gap_head": ("predicted_gap", "true_gap"),
        "gap_predicted_dos": ("predicted_gap_counted", "true_gap"),
        "gap_true_dos": ("true_gap_counted", "true_gap"),
        "fermi_head": ("predicted_level", "true_level"),
        "fermi_counted": ("predicted_level_counted", "true_level"),
    }
    values = {
        "structures": len(rows),
        "dos_rmse_per_electron": math.sqrt(np.mean([row["alignment"] / row["electrons"] for row in rows])),
        "dos_rmse_per_atom": math.sqrt(np.mean([row["alignment"] / row["num_atoms"] ** 2 for row in rows])),
        "rotational_discrepancy": root_mean_square([row["discrepancy"] for row in rows]),
    }
    for name, (predicted, true) in pairs.items():
        errors = [row[predicted] - row[true] for row in rows]
        if any(not math.isnan(error) for error in errors):
            values[f"{name}_mae"], values[f"{name}_rmse"] = mean_absolute(errors), root_mean_square(errors)
            values[f"{name}_structures"] = sum(not math.isnan(error) for error in errors)
    errors = [1000 * (row["predicted_energy"] - row["true_energy"]) / row["num_atoms"] for row in rows]
    values["energy_mae"], values["energy_rmse"] = mean_absolute(errors), root_mean_square(errors)
    for name in ("forces", "stresses"):
        count = sum(row[f"num_{name}"] for row in rows)
        if count:
            values[f"{name}_mae"] = 1000 * sum(row[f"{name}_absolute"] for row in rows) / count
            values[f"{name}_rmse"] = 1000 * math.sqrt(sum(row[f"{name}_squared"] for row in rows) / count)
    return values
