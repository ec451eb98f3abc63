"""The files of an embedded model: `model.pt`, and a `model.ckpt` that takes its weights from there.

python pack.py model.ckpt model-llpr.pt ../../src/electrain/pretrained/electrain-small
"""

import sys
from pathlib import Path

import torch

from electrain.files.checkpoints import read_checkpoint, write_checkpoint
from electrain.pretrained.weights import without_weights


def copy_without_paths(source: Path, target: Path) -> None:
    """Copy an exported model without the files in which TorchScript writes the paths of its sources."""
    reader, writer = torch._C.PyTorchFileReader(str(source)), torch._C.PyTorchFileWriter(str(target))
    written = {"version", "byteorder", ".data/serialization_id"}  # by the writer itself
    for name in reader.get_all_records():
        if name not in written and not name.endswith(".debug_pkl"):
            content = reader.get_record(name)
            writer.write_record(name, content, len(content))
    writer.write_end_of_file()


def main() -> None:
    """Write both files."""
    checkpoint, exported, folder = (Path(argument) for argument in sys.argv[1:])
    small = without_weights(read_checkpoint(checkpoint), exported)
    copy_without_paths(exported, folder / "model.pt")
    write_checkpoint(small, folder / "model.ckpt")
    for path in sorted(folder.iterdir()):
        print(f"{path.stat().st_size / 1e6:6.2f} MB  {path.name}")


if __name__ == "__main__":
    main()
