"""Errors of all architectures on spectra on a fixed axis, with equal budget (tables 1 and 5 of DOSTransformer's paper).

    OMP_NUM_THREADS=1 python benchmarks/compare_spectra.py DATASET -o FOLDER [--epochs 30] [--seeds 0 1 2]
        [--networks "DOSTransformer" "PET-MAD"]

DATASET is a folder that `electrain prepare --spectra` wrote. Each network sees every training structure `--epochs`
times, with AdamW, batches of 8, a learning rate that decreases along a cosine, and the RMSE as loss; the epoch with the
smallest error on the validation structures is kept. What is in FOLDER already is not repeated, so a comparison can be
continued and extended. Writes FOLDER/table.md: means over seeds of the errors on the test set, and how they scatter.
"""

import json
from pathlib import Path

import yaml
from comparisons import Network, compare
from spectra_networks import networks

from electrain.interface.manifests import MANIFEST


def networks_of(dataset: Path) -> dict[str, Network]:
    """All networks, on the axes of the data set."""
    axes = yaml.safe_load((dataset / "options.yaml").read_text())["architecture"]["model"]["fixed_axes"]
    number = json.loads((dataset / MANIFEST).read_text())["split"]["number"]["train"]
    loss = {"loss": dict.fromkeys(axes, "rmse")}
    return {
        name: Network(architecture, {"fixed_axes": axes, **hypers}, loss)
        for name, (architecture, hypers) in networks(number).items()
    }


if __name__ == "__main__":
    compare(__doc__, networks_of, ("test",))
