"""A checkpoint to continue the embedded model from, with gaps that are empty.

python start.py electrain-small start.ckpt

Models that were trained before there was a floor of what is squared in heads of spectra get that of new ones, zero.
"""

import sys
from pathlib import Path

from electrain.architectures.pet_mad.model import PETMAD
from electrain.files.checkpoints import read_checkpoint, write_checkpoint
from electrain.pretrained import checkpoint_in_place_of


def main() -> None:
    """Write the checkpoint."""
    name, target = sys.argv[1:]
    checkpoint = PETMAD.upgrade_checkpoint(read_checkpoint(checkpoint_in_place_of(name)))
    for key in ("model_state_dict", "best_model_state_dict"):
        for weight, values in checkpoint[key].items():
            if weight.endswith(".floor"):
                values.zero_()
    write_checkpoint(checkpoint, Path(target))


if __name__ == "__main__":
    main()
