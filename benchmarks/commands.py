"""Commands that benchmarks run."""

import subprocess
from pathlib import Path
from typing import Any


def run(*command: Any, folder: Path) -> None:
    """Run a command; its output is shown only if it fails."""
    done = subprocess.run([str(word) for word in command], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
