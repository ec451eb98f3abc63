"""The data of `electrain demo`: held-out structures with the error of constants per element, snapshots of silicon.

python demo_data.py DATA ../../datasets ../../src/electrain/demo/data

DATA is the folder in which the embedded model was trained, with its `structures.xyz` and `data`.
"""

import lzma
import sys
from pathlib import Path

from ase import Atoms
from ase.io import read, write

from electrain.data.reading import PreparedPart
from electrain.evaluation.baselines import Baseline, TrainingSet
from electrain.evaluation.structure_errors import compare_structure

# Chosen for their variety, before any prediction was made
HELD_OUT = """
bulk-CdTe-zincblende-0 bulk-KF-rocksalt-0 bulk-ONa2-fluorite-0 bulk-SiO2-rutile-0 bulk-ZnO-wz bulk-AuCu3-Cu3Au-0
bulk-Na-bcc-0 bulk-HgTe-zincblende-0 surface-MoS2-2H rattled-NiAl-cesiumchloride-0 molecule-CH3NO2-0 molecule-CBr4-0
molecule-SF2-0 molecule-OCHCHO-0
"""


def held_out(folder: Path) -> list[Atoms]:
    """Return the structures, with the error of the best constant density of states per element."""
    part, train = (PreparedPart(folder / "data", name) for name in ("test", "train"))
    baseline = Baseline(TrainingSet.read(train, with_spectra=True), part.axis, per_element=True)
    errors = {}
    for labelled in part.structures():
        found = compare_structure(labelled, part.axis, *baseline.predict(labelled.atoms), None).errors
        errors[labelled.entry.name] = found
    frames = {frame.info["id"]: frame for frame in read(folder / "structures.xyz", ":")}
    chosen = []
    for name in HELD_OUT.split():
        frame = frames[name]
        frame.info["constant_per_element"] = round(float((errors[name].alignment / errors[name].electrons) ** 0.5), 4)
        chosen.append(frame)
    return chosen


def silicon(datasets: Path) -> list[Atoms]:
    """Return snapshots at 300, 600 and 900 K: some to learn from, others to choose the best epoch and to test on."""
    with lzma.open(datasets / "silicon.xyz.xz", "rt") as file:
        frames = read(file, ":", format="extxyz")
    train, others = ([f for f in frames if f.info["split"] == part] for part in ("train", "validation"))
    # The test part of the file has a denser k mesh: its densities of states differ by 0.4 eV^-1/2 from the others.
    for index, frame in enumerate(others):
        frame.info["split"] = "validation" if index % 3 == 0 else "test"
    return train[:: len(train) // 50][:50] + others


def main() -> None:
    """Write both files."""
    folder, datasets, target = (Path(argument) for argument in sys.argv[1:])
    for name, frames in (("held_out", held_out(folder)), ("silicon", silicon(datasets))):
        path = target / f"{name}.xyz.xz"
        with lzma.open(path, "wt", preset=9 | lzma.PRESET_EXTREME) as file:
            write(file, frames, format="extxyz")
        print(f"{len(frames)} frames, {path.stat().st_size / 1e6:.2f} MB  {path.name}")


if __name__ == "__main__":
    main()
