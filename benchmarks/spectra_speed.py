"""Time of a training step, of an epoch and of a prediction: all architectures on the same spectra, in turn.

    OMP_NUM_THREADS=1 python benchmarks/spectra_speed.py DATASET -o FILE.md [--peer REPOSITORY] [--seconds 60]

DATASET is a folder that `electrain prepare --spectra ... --format zip` wrote (table 6 of the paper of DOSTransformer:
its phonon spectra). With a copy of https://github.com/HeewoongNoh/DOSTransformer, its network is timed beside ours,
with the same batches; in double precision, as it is published, and in single precision, as ours. Networks have the
widths and numbers of layers of the paper and a cutoff of 4 A, as the public code has it. Steps are network, loss,
gradients, clipping and optimizer; neighbor lists are there already. Times are those of the processor.
"""

import argparse
import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase
import numpy as np
import peer_dostransformer as peer
import torch
import yaml
from metatrain.utils.architectures import get_default_hypers, import_architecture
from metatrain.utils.data import DatasetInfo, DiskDataset
from metatrain.utils.data.target_info import get_generic_target_info
from metatrain.utils.evaluate_model import evaluate_model
from metatrain.utils.neighbor_lists import get_system_with_neighbor_lists
from spectra_networks import networks
from speed.timing import Clock, once
from tqdm import tqdm

from electrain.interface.fixed_axes import fixed_axis_to_labels
from electrain.spectra.fixed_axis import FixedAxis
from electrain.training.epoch import OptimizerStep
from electrain.training.losses import Objective
from electrain.training.processes import Process

BATCH_SIZE = 8
NUM_BATCHES = 20


class Batches:
    """The same batches for all: systems in double precision and targets."""

    def __init__(self, folder: Path) -> None:
        options = yaml.safe_load((folder / "options.yaml").read_text())
        (self.target,) = options["training_set"]["targets"]
        self.axis = FixedAxis.from_dict(options["architecture"]["model"]["fixed_axes"][self.target])
        dataset = DiskDataset(folder / "train.zip")
        self.num_train = len(dataset)
        order = np.random.default_rng(0).permutation(len(dataset))[: BATCH_SIZE * NUM_BATCHES]
        samples = [dataset[int(index)] for index in order]
        self.groups = [samples[first : first + BATCH_SIZE] for first in range(0, len(samples), BATCH_SIZE)]
        self.elements = sorted({int(t) for i in range(len(dataset)) for t in dataset[i]["system"].types})

    def systems(self, model: Any) -> list[list[Any]]:
        """Systems in single precision with the neighbor lists of a model, by batch."""
        lists = model.requested_neighbor_lists()
        return [
            [get_system_with_neighbor_lists(sample["system"], lists).to(torch.float32) for sample in group]
            for group in self.groups
        ]

    def structures(self) -> list[list[ase.Atoms]]:
        """Structures of ASE, by batch."""
        return [[_to_atoms(sample["system"]) for sample in group] for group in self.groups]

    def values(self, group: list[Any]) -> torch.Tensor:
        """Spectra of a batch, (num_structures, num_channels)."""
        return torch.cat([sample[self.target].block().values for sample in group])


def _to_atoms(system: Any) -> ase.Atoms:
    return ase.Atoms(system.types.numpy(), system.positions.numpy(), cell=system.cell.numpy(), pbc=system.pbc.numpy())


def ours(name: str, hypers: dict[str, Any], batches: Batches) -> tuple[Callable[[int], Any], Callable[[int], Any]]:
    """A training step, and a prediction of the first structure of a batch."""
    torch.manual_seed(0)
    architecture = import_architecture(name)
    spectrum = {
        "quantity": "",
        "unit": "",
        "type": "scalar",
        "sample_kind": "system",
        "num_subtargets": batches.axis.size,
    }
    info = DatasetInfo(
        "angstrom", batches.elements, {batches.target: get_generic_target_info(batches.target, spectrum)}
    )
    axes = {"fixed_axes": {batches.target: batches.axis.to_dict()}}
    model = architecture.__model__({**get_default_hypers(name)["model"], **axes, **hypers}, info).to(torch.float32)
    loss = {batches.target: {"type": "rmse", "weight": 1.0, "reduction": "mean"}}
    trainer = architecture.__trainer__({"loss": loss, "per_structure_targets": []})
    objective = Objective(trainer.losses(model))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5, fused=True)
    process = Process(torch.device("cpu"))
    step = OptimizerStep(model, optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0), 1.0, process)
    infos = {batches.target: model.dataset_info.targets[batches.target]}
    systems = batches.systems(model)
    targets = [_target(batches, group) for group in batches.groups]

    def train(index: int) -> None:
        model.train()
        predictions = evaluate_model(model, systems[index], infos, is_training=True)
        loss, _ = objective(predictions, {batches.target: targets[index]}, systems[index])
        step(loss)

    def predict(index: int) -> None:
        model.eval()
        with torch.no_grad():
            evaluate_model(model, systems[index][:1], infos, is_training=False)

    return train, predict


def _target(batches: Batches, group: list[Any]) -> Any:
    from metatensor.torch import Labels, TensorBlock, TensorMap

    rows = torch.arange(len(group)).reshape(-1, 1)
    labels = fixed_axis_to_labels(batches.axis)
    block = TensorBlock(batches.values(group).to(torch.float32), Labels(["system"], rows), [], labels)
    return TensorMap(Labels.single(), [block])


def theirs(folder: Path, dtype: torch.dtype, batches: Batches) -> tuple[Callable[[int], Any], Callable[[int], Any]]:
    """The same for the public code: its loss is the sum of those of two predictions."""
    network = peer.make_network(folder, dtype)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5, weight_decay=1e-2)
    graphs = [peer.make_graph(structures, dtype) for structures in batches.structures()]
    single = [peer.make_graph(structures[:1], dtype) for structures in batches.structures()]
    targets = [batches.values(group).to(dtype) for group in batches.groups]

    def train(index: int) -> None:
        network.train()
        whole, _, system = network(graphs[index])
        loss = sum((found - targets[index]).square().mean().sqrt() for found in (whole, system))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[union-attr]
        optimizer.step()

    def predict(index: int) -> None:
        network.eval()
        with torch.no_grad():
            network(single[index])

    return train, predict


def main() -> None:
    """Time all of them in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--peer", type=Path, help="copy of the public repository")
    parser.add_argument("--rounds", type=int, default=10, help="each of them all; the first is not counted")
    arguments = parser.parse_args()
    batches = Batches(arguments.dataset)
    jobs = {name: ours(*network, batches) for name, network in networks(batches.num_train, peer.CUTOFF).items()}
    if arguments.peer:
        for dtype, words in ((torch.float64, "as published, float64"), (torch.float32, "float32")):
            jobs[f"DOSTransformer, public code ({words})"] = theirs(arguments.peer, dtype, batches)
    clock = Clock("cpu")
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in jobs}
    for turn in tqdm(range(arguments.rounds + 1)):
        for name, (train, predict) in jobs.items():
            found = [
                (once(lambda: train(index), clock), once(lambda: predict(index), clock))  # noqa: B023 (run at once)
                for index in range(NUM_BATCHES)
            ]
            if turn:
                times[name] += found
    arguments.output.write_text(table(times, batches.num_train))
    print(f"wrote {arguments.output}")


def table(times: dict[str, list[tuple[float, float]]], num_train: int) -> str:
    """Write the means of all, and the medians' ratios to our DOSTransformer."""
    medians = {name: np.median(found, axis=0) for name, found in times.items()}
    means = {name: np.mean(found, axis=0) for name, found in times.items()}
    reference = medians["DOSTransformer"]
    processor = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    lines = [
        f"# Speed of all architectures on spectra, {datetime.date.today()}",
        "",
        f"Batches of {BATCH_SIZE} structures, {num_train} in an epoch (of training steps alone), one core of "
        f"{processor.partition(': ')[2]}, torch {torch.__version__}, float32 unless noted.",
        "`python benchmarks/spectra_speed.py` says what is timed. Relative: training step, in times of that of "
        "`dos_transformer`, from medians.",
        "",
        "| | training step (ms) | epoch (s) | prediction of one structure (ms) | relative |",
        "|---|---|---|---|---|",
    ]
    for name, (train, predict) in means.items():
        epoch = train * num_train / BATCH_SIZE
        ratio = medians[name][0] / reference[0]
        lines.append(f"| {name} | {1000 * train:.1f} | {epoch:.1f} | {1000 * predict:.1f} | {ratio:.2f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
