"""Install a wheel, a source distribution and an editable copy into a clean environment, try each and remove it.

    python tests/check_installation.py DIST_FOLDER

DIST_FOLDER holds one wheel and one .tar.gz, as `python -m build` makes them.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
TRY_IT = """
import sys
import torch
from ase.build import bulk
from metatrain.utils.architectures import find_all_architectures, get_default_hypers, import_architecture
from metatrain.utils.data import DatasetInfo
from metatrain.utils.data.target_info import get_generic_target_info
from electrain.calculators import ElectronicStructureModel

assert {"pet_mad", "dos_transformer", "bandformer", "tiny_net", "dos_baseline"} <= set(find_all_architectures())
hypers = get_default_hypers("pet_mad")["model"]
hypers.update(edge_width=8, node_width=8, head_width=8, feedforward_width=8, num_heads=2)
hypers["energy_grid"] = {"start": -20.0, "step": 0.05, "size": 800, "max_shift": 100}
layout = {"quantity": "", "unit": "", "type": "scalar", "sample_kind": "system"}
sizes = {"mtt::dos": 800, "mtt::bandgap": 1, "mtt::efermi": 1}
targets = {name: get_generic_target_info(name, {**layout, "num_subtargets": size}) for name, size in sizes.items()}
model = import_architecture("pet_mad").__model__(hypers, DatasetInfo("angstrom", [14], targets))
model.export().save("model.pt")
result = ElectronicStructureModel("model.pt").predict(bulk("Si"))
assert len(result.energies) == 800
"""
# Names and sizes of all files of models that come with electrain, the same as in the repository
EMBEDDED = """
import sys
from pathlib import Path
from electrain.pretrained.embedded import FOLDER

def sizes(folder):
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.glob("*/*") if path.suffix != ".pyc"}

assert sizes(FOLDER) == sizes(Path(sys.argv[1])) != {}
"""
GONE = """
from metatrain.utils.architectures import find_all_architectures
assert not {"pet_mad", "dos_transformer", "bandformer", "tiny_net", "dos_baseline"} & set(find_all_architectures())
"""


def main() -> None:
    """Check all three kinds of installation, and that nothing is left behind."""
    (dist,) = map(Path, sys.argv[1:])
    (wheel,), (source,) = dist.resolve().glob("*.whl"), dist.resolve().glob("*.tar.gz")
    with tempfile.TemporaryDirectory() as folder:
        venv.create(Path(folder) / "environment", with_pip=True)
        python = str(next((Path(folder) / "environment").glob("*/python")))

        def run(*arguments: str) -> None:
            # Away from the repository: nothing may be imported from its folders.
            subprocess.run([python, *arguments], check=True, cwd=folder)

        for what in (str(wheel), str(source), f"--editable={REPOSITORY}"):
            print(f"installing {what}", flush=True)
            run("-m", "pip", "install", "--quiet", what)
            run("-W", "ignore", "-c", TRY_IT)
            run("-c", EMBEDDED, str(REPOSITORY / "src" / "electrain" / "pretrained"))
            run("-m", "electrain", "--version")
            run("-m", "electrain", "models")
            run("-m", "metatrain", "train", "--help")
            run("-m", "pip", "uninstall", "--quiet", "--yes", "electrain")
            run("-W", "ignore", "-c", GONE)
    print("wheel, source distribution and editable installation work and leave nothing behind")


if __name__ == "__main__":
    main()
