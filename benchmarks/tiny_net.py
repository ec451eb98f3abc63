"""Figures 1, 3 and 5 of the TinyNet paper: errors of forces and local densities of states, and time per step.

    OMP_NUM_THREADS=1 python benchmarks/tiny_net.py datasets/oxides.xyz.xz -o FOLDER [--seeds 0 1 2] [--steps 2000]

For each material, and for n hops and neighbors of order N, vectors are computed once with the model's own code, and the
network of 16 and 32 features learns direct forces or local densities of states from them. The step is that with the
smallest error on the validation part; errors are those of the test part, beside those of trivial predictions (no force;
the mean density of states of the element). For the time per step, `tiny_net` and `pet_mad` with its default size take
turns on 160 atoms of BaTiO3; embedding included, neighbor lists not.

Writes FOLDER/errors.json (trainings that are there are not repeated), tiny_net.md, forces.png, local_dos.png and
time.png. The vectors have at most 1,024 paths of each number of hops.
"""

import argparse
import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import ase.io
import numpy as np
import torch
from ase import Atoms
from matplotlib.figure import Figure
from metatomic.torch import ModelOutput, System, systems_to_torch
from metatrain.utils.architectures import get_default_hypers, import_architecture
from metatrain.utils.data import Dataset, DatasetInfo
from metatrain.utils.data.target_info import get_energy_target_info, get_generic_target_info
from metatrain.utils.neighbor_lists import get_system_with_neighbor_lists
from speed.timing import compare
from tqdm import tqdm

from electrain.architectures.tiny_net.network import TinyNetwork, Vectors
from electrain.architectures.tiny_net.room import fit_room
from electrain.interface.quantities import LOCAL_DOS
from electrain.nn.selection import Selection

sys.path.append(str(Path(__file__).parents[1] / "datasets"))
from local_dos import axis, local_dos

FORCE = "non_conservative_force"
ROOM = 1024  # paths of each number of hops
# bonds between cations and oxygen (and of BaTiO3, between neighboring oxygens), as far as they are strained
MATERIALS: dict[str, dict[str, Any]] = {
    "MoO3": {"bonds": "cutoff", "cutoff": 2.7, "paths": "all"},
    "BaTiO3": {"bonds": "cutoff", "cutoff": 3.2, "paths": "simple_cycles"},
}
HOPS = {"MoO3": (0, 2, 4, 6, 8), "BaTiO3": (0, 2, 4, 6)}
ORDERS = (0, 2, 4)
LEARNING_RATE = 3e-3  # at first; it decreases along a cosine
BATCH = 512  # atoms
CHECK = 50  # steps between two looks at the validation part
TARGETS = {FORCE: "forces", LOCAL_DOS: "local_dos"}
LABELS = {FORCE: "forces (eV/Å)", LOCAL_DOS: "local DOS (states/eV)"}
TRIVIAL = {FORCE: "no force", LOCAL_DOS: "mean of the element"}
PARTS = ("train", "validation", "test")
COLORS = ("#999999", "#88ccee", "#44aa99", "#ddaa33", "#332288")


class Atomic(NamedTuple):
    """Vectors and targets of atoms."""

    vectors: Vectors
    elements: torch.Tensor  # (num_atoms,) int64
    targets: dict[str, torch.Tensor]  # (num_atoms, size)

    def some(self, atoms: torch.Tensor) -> "Atomic":
        """Those of some atoms."""
        vectors = Vectors(self.vectors.values[atoms], self.vectors.frame[atoms])
        targets = {name: values[atoms] for name, values in self.targets.items()}
        return Atomic(vectors, self.elements[atoms], targets)


def model_of(architecture: str, elements: list[int], targets: tuple[str, ...], options: dict[str, Any]) -> Any:
    """A model with random weights."""
    of_atoms = {"sample_kind": "atom", "quantity": "", "description": ""}
    force = {**of_atoms, "type": {"cartesian": {"rank": 1}}, "unit": "eV/A", "num_subtargets": 1}
    spectrum = {**of_atoms, "type": "scalar", "unit": "", "num_subtargets": len(axis())}
    energy = {"quantity": "energy", "unit": "eV", "description": ""}
    infos = {
        FORCE: get_generic_target_info(FORCE, force),
        LOCAL_DOS: get_generic_target_info(LOCAL_DOS, spectrum),
        "energy": get_energy_target_info("energy", energy, add_position_gradients=True),
    }
    axes = {LOCAL_DOS: {"start": float(axis()[0]), "step": 0.1, "size": len(axis()), "unit": "eV"}}
    hypers = {**copy.deepcopy(get_default_hypers(architecture)["model"]), "fixed_axes": axes, **options}
    info = DatasetInfo("angstrom", elements, {name: infos[name] for name in targets})
    return import_architecture(architecture).__model__(hypers, info).to(torch.float32).eval()


def to_systems(structures: list[Atoms], model: Any) -> list[System]:
    """Systems with the neighbor lists that a model asks for."""
    lists = model.requested_neighbor_lists()
    systems = systems_to_torch(structures, dtype=torch.float64)
    return [get_system_with_neighbor_lists(system, lists).to(torch.float32) for system in systems]


def tiny(material: str, elements: list[int], targets: tuple[str, ...], hops: int, order: int) -> Any:
    """A `tiny_net` with n hops and neighbors of order N."""
    room = {"num_paths": [ROOM] * max(1, hops - 1), "num_neighbors": ROOM, "too_many": "truncate"}
    options = {**MATERIALS[material], **room, "num_hops": hops, "neighbor_order": order}
    return model_of("tiny_net", elements, targets, options)


@torch.no_grad()
def vectors_of(model: Any, structures: list[Atoms]) -> tuple[Vectors, torch.Tensor]:
    """Vectors before standardisation of all atoms, with their frames, and the elements."""
    found, elements = [], []
    for system in to_systems(structures, model):
        batch = model.read([system])
        found.append(model.network.descriptors.find(batch, True))
        elements.append(batch.elements)
    vectors = Vectors(torch.cat([one.values for one in found]), torch.cat([one.frame for one in found]))
    return vectors, torch.cat(elements)


def targets_of(structures: list[Atoms]) -> dict[str, torch.Tensor]:
    """Forces in eV/A and local densities of states in states/eV of all atoms."""
    forces = np.concatenate([atoms.get_forces() for atoms in structures])
    spectra = np.concatenate([local_dos(atoms) for atoms in structures])
    return {FORCE: torch.tensor(forces, dtype=torch.float32), LOCAL_DOS: torch.tensor(spectra, dtype=torch.float32)}


def read(model: Any, parts: list[list[Atoms]]) -> list[Atomic]:
    """Vectors, standardised as a training does, and targets; entries that the training set lacks are left out.

    :param model: whose vectors are read; its network is changed to read them.
    :param parts: structures to train on, and others.
    """
    descriptors, network = model.network.descriptors, model.network
    found = [vectors_of(model, structures) for structures in parts]
    raw, elements = found[0]
    rows = [raw.values[elements == element].double() for element in range(network.num_elements)]
    mean = torch.stack([own.mean(dim=0) for own in rows])
    variance = torch.stack([own.var(dim=0, correction=0) for own in rows])
    descriptors.fit(mean.float(), variance.float())
    used = (descriptors.scale > 0).any(dim=0)
    for layers in network.elements:
        layers.first = type(layers.first)(int(used.sum()), layers.first.out_features)

    atomic = []
    for (vectors, elements), structures in zip(found, parts, strict=True):
        values = (vectors.values - descriptors.mean[elements]) * descriptors.scale[elements]
        atomic.append(Atomic(Vectors(values[:, used], vectors.frame), elements, targets_of(structures)))
    return atomic


class Learner(torch.nn.Module):
    """The part of a network that reads vectors and predicts one target."""

    def __init__(self, network: TinyNetwork, name: str, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.network = copy.deepcopy(network)
        self.network.descriptors = None
        self.name = name
        for layer in self.network.modules():
            if isinstance(layer, torch.nn.Linear):
                layer.reset_parameters()

    def forward(self, part: Atomic) -> torch.Tensor:
        """Mean square error."""
        count = len(part.elements)
        selection = Selection(torch.arange(count), torch.zeros(count, dtype=torch.int64), torch.tensor([[count]]), True)
        features = self.network.read(part.vectors, part.elements)
        predicted = self.network.heads[self.name].predict(features, "atom", False, selection)
        return (predicted.reshape(count, -1) - part.targets[self.name]).square().mean()


def trained_errors(network: TinyNetwork, parts: list[Atomic], name: str, steps: int, seeds: list[int]) -> list[float]:
    """Train with all seeds at once, on the same batches; root mean square errors of the test part.

    Those are of the step with the smallest error on the validation part, of each seed.
    """
    train, validation, test = parts
    learners = [Learner(network, name, seed) for seed in seeds]
    parameters, _ = torch.func.stack_module_state(learners)
    errors = torch.vmap(lambda own, part: torch.func.functional_call(learners[0], own, (part,)), (0, None))
    optimizer = torch.optim.Adam(parameters.values(), LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    best = torch.full((2, len(seeds)), torch.inf)  # of validation, and the test error then
    for step in range(steps):
        optimizer.zero_grad()
        errors(parameters, train.some(torch.randint(len(train.elements), (BATCH,)))).sum().backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % CHECK == 0:
            with torch.no_grad():
                found = torch.stack([errors(parameters, part) for part in (validation, test)])
            best = torch.where(found[0] < best[0], found, best)
    return best[1].sqrt().tolist()


def trivial_errors(train: Atomic, test: Atomic) -> dict[str, float]:
    """Root mean square errors of no force, and of the mean density of states of each element."""
    spectra, elements = train.targets[LOCAL_DOS], train.elements
    means = torch.stack([spectra[elements == element].mean(dim=0) for element in range(int(elements.max()) + 1)])
    wrong = test.targets[LOCAL_DOS] - means[test.elements]
    return {FORCE: float(test.targets[FORCE].square().mean().sqrt()), LOCAL_DOS: float(wrong.square().mean().sqrt())}


def key_of(material: str, name: str, hops: int, order: int) -> str:
    """Key of errors in the file."""
    return f"{material} {TARGETS[name]} n={hops} N={order}"


def learn(frames: list[Atoms], material: str, file: Path, seeds: list[int], steps: int) -> None:
    """Train what is not in the file yet, and add the errors to it."""
    known = json.loads(file.read_text()) if file.exists() else {"seeds": seeds, "steps": steps}
    if (known["seeds"], known["steps"]) != (seeds, steps):
        raise SystemExit(f"{file} has errors after {known['steps']} steps with seeds {known['seeds']}: move it away")
    structures = [[atoms for atoms in frames if atoms.info["split"] == part] for part in PARTS]
    elements = sorted(set(frames[0].numbers.tolist()))
    cases = [(hops, order) for hops in HOPS[material] for order in ORDERS if hops + order > 0]
    for hops, order in tqdm(cases, unit="vector", desc=material):
        missing = [name for name in TARGETS if key_of(material, name, hops, order) not in known]
        if not missing:
            continue
        model = tiny(material, elements, tuple(TARGETS), hops, order)
        parts = read(model, structures)
        known[f"{material} trivial"] = trivial_errors(parts[0], parts[2])
        known[f"{material} structures"] = [len(part) for part in structures]
        for name in missing:
            known[key_of(material, name, hops, order)] = trained_errors(model.network, parts, name, steps, seeds)
        file.write_text(json.dumps(known, indent=1))


def table(known: dict[str, Any], material: str, name: str) -> list[str]:
    """Errors by n and N: means and, in brackets, standard deviations over seeds."""
    train, validation, test = known[f"{material} structures"]
    lines = [
        f"RMSE of {LABELS[name]} of {material}: {train} structures to train on, {validation} to select the step, "
        f"{test} to test. {TRIVIAL[name].capitalize()}: {known[f'{material} trivial'][name]:.3f}.",
        "",
        "| n | " + " | ".join(f"N = {order}" for order in ORDERS) + " |",
        "|---" * (1 + len(ORDERS)) + "|",
    ]
    for hops in HOPS[material]:
        cells = []
        for order in ORDERS:
            found = known.get(key_of(material, name, hops, order), [])
            scatter = f" ({np.std(found, ddof=1):.3f})" if len(found) > 1 else ""
            cells.append(f"{np.mean(found):.3f}{scatter}" if found else "")
        lines.append(f"| {hops} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def draw(known: dict[str, Any], name: str, file: Path) -> None:
    """Errors of both materials: of forces against N for each n, of densities of states against n for each N."""
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    against_order = name == FORCE
    for axes, material in zip(figure.subplots(1, 2), MATERIALS, strict=True):
        curves, points = (HOPS[material], ORDERS) if against_order else (ORDERS, HOPS[material])
        for color, curve in zip(COLORS, curves, strict=False):
            pairs = [(curve, point) if against_order else (point, curve) for point in points]
            found = {point: known.get(key_of(material, name, *pair)) for point, pair in zip(points, pairs, strict=True)}
            drawn = {point: (np.mean(errors), np.ptp(errors) / 2) for point, errors in found.items() if errors}
            means, ranges = zip(*drawn.values(), strict=True)
            label = f"{'n' if against_order else 'N'} = {curve}"
            axes.errorbar(list(drawn), means, ranges, marker="o", color=color, capsize=2, label=label)
        trivial = known[f"{material} trivial"][name]
        axes.axhline(trivial, color="black", linestyle=":", label=TRIVIAL[name])
        axes.set_xlabel("neighbors up to N bonds away" if against_order else "paths of up to n hops")
        axes.set(title=material, xticks=points, ylabel=f"RMSE of {LABELS[name]}")
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False, fontsize=8, ncols=2, loc="lower left")
    figure.savefig(file, dpi=150)


def cell_of_160_atoms() -> Atoms:
    """Rattled cubic BaTiO3."""
    sites = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    atoms = Atoms("BaTiO3", scaled_positions=sites, cell=[4.0] * 3, pbc=True) * (4, 4, 2)
    atoms.positions += 0.05 * np.random.default_rng(0).normal(size=atoms.positions.shape)
    return atoms


def step_of(model: Any, atoms: Atoms) -> Callable[[], object]:
    """A function that computes forces: direct ones if the model has them, else derivatives of the energy."""
    (system,) = to_systems([atoms], model)
    if FORCE in model.dataset_info.targets:

        def direct() -> object:
            with torch.no_grad():
                return model([system], {FORCE: ModelOutput(sample_kind="atom")})

        return direct

    def gradient() -> object:
        positions = system.positions.clone().requires_grad_()
        moved = System(system.types, positions, system.cell, system.pbc)
        for options in system.known_neighbor_lists():
            moved.add_neighbor_list(options, system.get_neighbor_list(options))
        energy = model([moved], {"energy": ModelOutput(sample_kind="system")})["energy"].block().values.sum()
        return torch.autograd.grad(energy, positions)

    return gradient


def times(seconds: float) -> dict[str, dict[str, Any]]:
    """Times per step in ms, and how many times faster `tiny_net` is, whose vector has room for these atoms."""
    atoms, elements = cell_of_160_atoms(), [8, 22, 56]
    settings = {
        "default bonds (covalent radii)": {},
        "L4(2), bonds up to 3.2 A": {"bonds": "cutoff", "cutoff": 3.2},
        "L4(2), the same, simple cycles": MATERIALS["BaTiO3"],
    }
    found = {}
    for target, kind in ((FORCE, "direct"), ("energy", "gradient")):
        peer = step_of(model_of("pet_mad", elements, (target,), {}), atoms)
        for name, options in settings.items():
            model = model_of("tiny_net", elements, (target,), options)
            fit_room(
                model, {"structures": [Dataset.from_dict({"system": systems_to_torch([atoms], dtype=torch.float64)})]}
            )
            ours = step_of(model.to(torch.float32).eval(), atoms)
            comparison = compare(peer, ours, device="cpu", seconds=seconds)
            found[f"{name}, {kind}"] = {
                "pet_mad": 1000 * float(np.median(comparison.peer)),
                "tiny_net": 1000 * float(np.median(comparison.ours)),
                "ratio": comparison.ratio,
                "quartiles": comparison.quartiles,
            }
    return found


def time_table(found: dict[str, dict[str, Any]]) -> list[str]:
    """Times per step."""
    lines = ["| forces of 160 atoms | pet_mad (ms) | tiny_net (ms) | ratio (quartiles) |", "|---|---|---|---|"]
    for name, one in found.items():
        ratio = f"{one['ratio']:.1f} ({one['quartiles'][0]:.1f}-{one['quartiles'][1]:.1f})"
        lines.append(f"| {name} | {one['pet_mad']:.0f} | {one['tiny_net']:.0f} | {ratio} |")
    return [*lines, ""]


def draw_times(found: dict[str, dict[str, Any]], file: Path) -> None:
    """Bars, on a logarithmic axis."""
    figure = Figure(figsize=(7, 2.8), layout="constrained")
    axes = figure.subplots()
    for row, one in enumerate(found.values()):
        for shift, which, color in ((-0.2, "pet_mad", "#bbbbbb"), (0.2, "tiny_net", "#117733")):
            axes.barh(row + shift, one[which], 0.38, color=color, label=which if row == 0 else None)
    axes.set(yticks=range(len(found)), yticklabels=list(found), xscale="log", xlabel="CPU time per step (ms), one core")
    axes.set_xlim(left=10)
    axes.invert_yaxis()
    figure.legend(loc="outside upper right", ncols=2, frameon=False)
    figure.savefig(file, dpi=150)


def main() -> None:
    """Learn, time, and write tables and figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+", help="files of datasets/projections.py")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=2000, help="of a training, with 512 atoms each")
    parser.add_argument("--seconds", type=float, default=20.0, help="for each comparison of times")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.output.mkdir(parents=True, exist_ok=True)
    frames = [frame for file in args.data for frame in ase.io.read(file, ":")]
    for material in MATERIALS:
        own = [frame for frame in frames if frame.info["parent"] == f"compound-{material}"]
        learn(own, material, args.output / "errors.json", args.seeds, args.steps)
    known = json.loads((args.output / "errors.json").read_text())
    lines = [f"{args.steps} steps, seeds {', '.join(map(str, args.seeds))}.", ""]
    for name, title in TARGETS.items():
        draw(known, name, args.output / f"{title}.png")
        for material in MATERIALS:
            lines += table(known, material, name)
    found = times(args.seconds)
    draw_times(found, args.output / "time.png")
    (args.output / "tiny_net.md").write_text("\n".join([*lines, *time_table(found)]))
    print("\n".join([*lines, *time_table(found)]))


if __name__ == "__main__":
    main()
