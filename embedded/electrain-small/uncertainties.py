"""Options that calibrate the uncertainties of `model.ckpt`, with the data sets of its own `options.yaml`.

python uncertainties.py options.yaml options-llpr.yaml
"""

import sys

from omegaconf import OmegaConf

ARCHITECTURE = {
    "name": "llpr",
    "model": {"num_ensemble_members": {"mtt::dos": 16}},
    "training": {"model_checkpoint": "model.ckpt", "batch_size": 16, "calibration_method": "squared_residuals"},
}


def main() -> None:
    """Write the file."""
    source, target = sys.argv[1:]
    options = OmegaConf.load(source)
    options.architecture = ARCHITECTURE
    OmegaConf.save(options, target)


if __name__ == "__main__":
    main()
