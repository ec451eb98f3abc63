"""Errors of variants of Bandformer on bands, with equal budget, beside two baselines.

    OMP_NUM_THREADS=1 python benchmarks/compare_bands.py DATASET -o FOLDER [--epochs 30] [--seeds 0 1 2]
        [--networks "Bandformer" "Bandformer, k of the paper"]

DATASET is a folder that `electrain prepare --bands` wrote. Each network sees every training crystal `--epochs` times,
with AdamW, batches of 8 and a learning rate that decreases along a cosine; the epoch with the smallest error on the
validation crystals is kept. What is in FOLDER already is not repeated, so a comparison can be continued and extended.
Writes FOLDER/table.md: means over seeds of the errors on the validation and the test set, and how they scatter.
"""

from pathlib import Path
from typing import Any

import yaml
from comparisons import Network, compare

REGULARISED = {"element_properties": True, "dropout": 0.2}
# sizes of electrain-small
SIZES = {"cutoff": 4.5, "cutoff_width": 0.5, "edge_width": 64, "node_width": 64, "feedforward_width": 128}
PET = {
    **REGULARISED,
    "encoder": "point_edge_transformer",
    "point_edge_transformer": {**SIZES, "element_properties": True},
}
ROTATED = {"rotational_augmentation": True}

# name -> hyperparameters of the model and of the training
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "Bandformer": (REGULARISED, {}),
    "Bandformer, defaults": ({}, {}),
    "Bandformer, k of the paper": ({**REGULARISED, "k_encoding": "paper"}, {}),
    "Bandformer, Fourier": ({**REGULARISED, "bands_as": "fourier", "num_fourier": 16}, {}),
    "PET encoder": (PET, ROTATED),
    "PET encoder, trained before": (PET, {**ROTATED, "encoder_from": "electrain-small"}),
}


def networks_of(dataset: Path) -> dict[str, Network]:
    """All variants, for the bands of the data set."""
    written = yaml.safe_load((dataset / "options.yaml").read_text())["architecture"]
    loss = {"loss": written["training"]["loss"]}
    return {
        name: Network("bandformer", {**written["model"], **model}, {**loss, **training})
        for name, (model, training) in VARIANTS.items()
    }


if __name__ == "__main__":
    compare(__doc__, networks_of, ("validation", "test"))
