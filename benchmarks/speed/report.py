"""Results as a table, as numbers and as a figure."""

import json
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
from models import OURS, PEER, SIDES
from scaling import TITLES
from tasks import TASKS

HEADER = """# Speed and memory compared with metatrain.pet{where}

Written by {command}. Both models have the same weights and give the same predictions
(last column: largest difference relative to the largest value). Width 256, heads 512, 4806 channels, 2 x 2 layers,
cutoff 4.5 A; float32. Runs alternate between the two.
{clock}
The ratio is that of the medians; the quartiles of the ratios of single pairs of runs are in brackets. Memory is
the peak {memory} minus the level before (weights, inputs, optimizer).
"""
ON_CPU = {
    "where": "",
    "command": "`tox -e bench` (`python benchmarks/speed`)",
    "clock": "One thread. Times are CPU times, not wall times, because the machine was shared with other processes;\n"
    "their use of caches and memory bandwidth still slows down both models.",
    "memory": "of a separate process",
}
ON_GPU = {
    "where": " on a GPU",
    "command": "`python benchmarks/speed --device cuda`",
    "clock": "Times are wall times and include one thread of Python.",
    "memory": "of what torch allocates on the GPU",
}


def environment(device: str) -> dict[str, str]:
    """Hardware and versions."""
    cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    flags = Path("/proc/cpuinfo").read_text()
    packages = ("torch", "metatrain", "metatomic-torch", "metatensor-torch")
    found = {
        "date": date.today().isoformat(),
        "processor": cpu.partition(":")[2].strip() + (" (AMX)" if "amx_bf16" in flags else ""),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }
    if device.startswith("cuda"):
        found["device"] = torch.cuda.get_device_name()
    return found


def _file(folder: Path, on_gpu: bool, suffix: str) -> Path:
    return folder / f"speed{'_gpu' if on_gpu else ''}{suffix}"


def load(folder: Path, on_gpu: bool) -> dict[str, Any]:
    """Former results; tasks that are measured again replace theirs."""
    path = _file(folder, on_gpu, ".json")
    return json.loads(path.read_text()) if path.exists() else {"tasks": {}, "precision": {}, "scaling": []}


def write(results: dict[str, Any], folder: Path) -> None:
    """``speed.json``, ``speed.md`` and ``speed.png``, or ``speed_gpu...``."""
    folder.mkdir(parents=True, exist_ok=True)
    on_gpu = "device" in results["environment"]
    _file(folder, on_gpu, ".json").write_text(json.dumps(results, indent=1) + "\n")
    header = HEADER.format(**(ON_GPU if on_gpu else ON_CPU))
    _file(folder, on_gpu, ".md").write_text(
        "\n".join([header, *_environment(results), *_table(results, on_gpu), *_precision(results), *_scaling(results)])
    )
    widths = [1.5, 1, 1] if results["scaling"] else [1.5]
    figure, panels = plt.subplots(
        1, len(widths), figsize=(2 + 4 * sum(widths), 5), width_ratios=widths, layout="constrained", squeeze=False
    )
    _draw_ratios(panels[0, 0], results["tasks"], on_gpu)
    if results["scaling"]:
        _draw_scaling(panels[0, 1], results["scaling"], "seconds", "time / s")
        _draw_scaling(panels[0, 2], results["scaling"], "mebibytes", "peak memory / MiB")
    figure.savefig(_file(folder, on_gpu, ".png"), dpi=150)
    plt.close(figure)


def _environment(results: dict[str, Any]) -> list[str]:
    return [", ".join(f"{name} {value}" for name, value in results["environment"].items()), ""]


COLUMNS = {
    False: ["task", "peer / ms", "ours / ms", "ratio", "at least", "aim", "memory ratio (peer / ours, MiB)", "at least",
            "aim", "% of it", "difference"],
    True: ["task", "peer / ms", "ours / ms", "ratio", "at least", "memory ratio (peer / ours, MiB)",
           "launches, peer / ours", "% of it", "difference"],
}  # fmt: skip


def _table(results: dict[str, Any], on_gpu: bool) -> list[str]:
    lines = [
        f"Matrix products (4096 x 512 x 512) run at {results['matrix_product_rate'] / 1e9:.3g} GFLOP/s in float32; "
        "'% of it' is the share of our time that the matrix products would take at this rate."
        + (" 'Launches' are kernels and copies, those of a CUDA graph included." if on_gpu else ""),
        "",
        "| " + " | ".join(COLUMNS[on_gpu]) + " |",
        "|---" * len(COLUMNS[on_gpu]) + "|",
    ]
    for name, task in TASKS.items():
        if name in results["tasks"]:
            lines.append("| " + " | ".join(_cells(task, results["tasks"][name], on_gpu)) + " |")
    return [*lines, ""]


def _cells(task: Any, found: dict[str, Any], on_gpu: bool) -> list[str]:
    low, high = found["quartiles"]
    memory = found["mebibytes"]
    times = [
        task.title,
        f"{1e3 * found['seconds'][PEER]:.1f}",
        f"{1e3 * found['seconds'][OURS]:.1f}",
        f"**{found['ratio']:.2f}** ({low:.2f}-{high:.2f}, {found['pairs']} pairs)",
    ]
    memories = f"**{memory[PEER] / max(memory[OURS], 0.1):.1f}** ({memory[PEER]:.0f} / {memory[OURS]:.0f})"
    fraction = f"{100 * found['fraction']:.0f}" if found["fraction"] else ""
    difference = f"{found['difference']:.0e}"
    if on_gpu:
        launches = f"{found['launches'][PEER]} / {found['launches'][OURS]}"
        return [*times, _number(task.at_least_on_gpu), memories, launches, fraction, difference]
    targets = [_number(task.at_least), _number(task.aim)]
    memory_targets = [_number(task.memory_at_least), _number(task.memory_aim)]
    return [*times, *targets, memories, *memory_targets, fraction, difference]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _precision(results: dict[str, Any]) -> list[str]:
    by_precision = results["precision"]
    if not by_precision:
        return []
    names = list(by_precision)
    lines = [
        "With fewer digits (`matmul_precision`: `high` is TensorFloat-32, on GPUs only; `medium` bfloat16), speed "
        "relative to our own in float32:",
        "",
        "| task | " + " | ".join(names) + " |",
        "|---" * (1 + len(names)) + "|",
    ]
    for task in by_precision[names[0]]:
        cells = [TASKS[task].title]
        for name in names:
            found = by_precision[name].get(task)
            if found is None:  # not measured yet
                cells.append("")
                continue
            low, high = found["quartiles"]
            cells.append(f"{found['ratio']:.2f} ({low:.2f}-{high:.2f}, {found['pairs']} pairs)")
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def _scaling(results: dict[str, Any]) -> list[str]:
    lines = []
    for kind, title in TITLES.items():
        rows = [row for row in results["scaling"] if row["kind"] == kind]
        if not rows:
            continue
        lines += [
            f"{title}:",
            "",
            f"| {kind} | peer / s | ours / s | peer / MiB | ours / MiB |",
            "|---|---|---|---|---|",
        ]
        for size in sorted({row["size"] for row in rows}):
            by_side = {row["side"]: row for row in rows if row["size"] == size}
            cells = [
                f"{by_side[side][what]:.3g}" if side in by_side else "too large"
                for what in ("seconds", "mebibytes")
                for side in SIDES
            ]
            lines.append(f"| {size} | " + " | ".join(cells) + " |")
        lines.append("")
    return lines


def _draw_ratios(axes: Any, tasks: dict[str, Any], on_gpu: bool) -> None:
    names = [name for name in TASKS if name in tasks][::-1]
    for height, name in enumerate(names):
        found = tasks[name]
        low, high = found["quartiles"]
        axes.barh(height, found["ratio"], color="tab:blue", height=0.6)
        axes.plot([low, high], [height, height], color="black", linewidth=1)
        axes.text(max(found["ratio"], high) + 0.1, height, f"{found['ratio']:.1f}", va="center", fontsize=8)
        task = TASKS[name]
        targets = ((task.at_least_on_gpu, "-"),) if on_gpu else ((task.at_least, "-"), (task.aim, ":"))
        for target, style in targets:
            if target is not None:
                axes.plot([target] * 2, [height - 0.4, height + 0.4], color="tab:red", linestyle=style)
    axes.set_yticks(range(len(names)), [TASKS[name].title for name in names], fontsize=8)
    axes.axvline(1.0, color="gray", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
    axes.set_xlabel("times faster than metatrain.pet (red: target" + (")" if on_gpu else ", dotted: aim)"))


def _draw_scaling(axes: Any, rows: list[dict[str, Any]], what: str, label: str) -> None:
    for side, color in zip(SIDES, ("tab:orange", "tab:blue"), strict=True):
        for kind, marker in (("atoms", "o"),):
            points = sorted((row["size"], row[what]) for row in rows if row["side"] == side and row["kind"] == kind)
            if points:
                axes.loglog(*zip(*points, strict=True), marker=marker, color=color, label=side)
    axes.set_xlabel("atoms of a GaAs crystal")
    axes.set_ylabel(label)
    if axes.lines:
        axes.legend()
