"""Build hook: metatrain lists architectures by the folders of its own package, so the wheel puts our shims there."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Shims(BuildHookInterface):
    """Places every folder of ``src/metatrain_shim`` into ``metatrain``, in wheels and in editable installs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the mapping before a wheel is built."""
        kind = "force_include_editable" if version == "editable" else "force_include"
        shims = sorted(path.parent for path in Path(self.root, "src", "metatrain_shim").glob("*/__init__.py"))
        build_data[kind].update({str(shim): f"metatrain/{shim.name}" for shim in shims})
