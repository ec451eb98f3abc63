"""Write a checkpoint again with the weights of its best epoch alone, to fine-tune them: a quarter of its size.

python store.py pretrained/model.ckpt pretrained.ckpt
"""

import sys
from pathlib import Path

from electrain.files.checkpoints import read_checkpoint, write_checkpoint

KEPT = ("architecture_name", "model_ckpt_version", "metadata", "model_data")


def main() -> None:
    """Write the file."""
    source, target = (Path(argument) for argument in sys.argv[1:])
    checkpoint = read_checkpoint(source)
    # not the whole storage that a tensor may be a view of
    best = {name: value.clone() for name, value in checkpoint["best_model_state_dict"].items()}
    states = dict.fromkeys(("model_state_dict", "best_model_state_dict"), best)
    write_checkpoint({**{name: checkpoint[name] for name in KEPT}, "epoch": None, "best_epoch": None, **states}, target)
    print(f"{target.stat().st_size / 1e6:6.2f} MB  {target.name}")


if __name__ == "__main__":
    main()
