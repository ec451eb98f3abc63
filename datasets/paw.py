"""PAW sets for PBEsol: the PBE sets of gpaw-data, renamed.

    python paw.py setups

GPAW looks PAW sets up by the functional's name and ships none for PBEsol. The copies have PBE cores and
partial waves; the valence electrons are treated with PBEsol. gpaw-data is GPLv3+: it is read where it is
installed and never copied into this repository.
"""

import argparse
import gzip
import re
from pathlib import Path

import gpaw_data


def rename_functional(text: bytes) -> bytes:
    """Return the same PAW set, announced as one for PBEsol."""
    renamed, count = re.subn(rb'(<xc_functional[^>]*name=")PBE(")', rb"\1PBEsol\2", text)
    if count != 1:
        raise ValueError("not a PAW set for PBE")
    return renamed


def main() -> None:
    """Write a set for every element that gpaw-data has one for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="folder to write")
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    # names with more dots are variants for other valences
    files = (Path(gpaw_data.__file__).parent / "setups").glob("*.PBE.gz")
    sources = [file for file in files if file.name.count(".") == 2]
    for source in sources:
        target = output / source.name.replace(".PBE.", ".PBEsol.")
        target.write_bytes(gzip.compress(rename_functional(gzip.decompress(source.read_bytes())), mtime=0))
    print(len(sources), "PAW sets")


if __name__ == "__main__":
    main()
