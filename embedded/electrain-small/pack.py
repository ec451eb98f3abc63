"""The files of an embedded model: `model.pt`, and a `model.ckpt` that takes its weights from there.

python pack.py model.ckpt model-llpr.pt ../../src/electrain/pretrained/electrain-small
"""

import shutil
import sys
from pathlib import Path

from electrain.files.checkpoints import read_checkpoint, write_checkpoint
from electrain.pretrained.weights import without_weights


def main() -> None:
    """Write both files."""
    checkpoint, exported, folder = (Path(argument) for argument in sys.argv[1:])
    small = without_weights(read_checkpoint(checkpoint), exported)
    shutil.copyfile(exported, folder / "model.pt")
    write_checkpoint(small, folder / "model.ckpt")
    for path in sorted(folder.iterdir()):
        print(f"{path.stat().st_size / 1e6:6.2f} MB  {path.name}")


if __name__ == "__main__":
    main()
