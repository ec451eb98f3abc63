"""Build hook: an editable install, too, puts the shim into metatrain's package."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class EditableShim(BuildHookInterface):
    """Copies ``force-include`` to editable wheels, which ignore it otherwise."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the mapping before an editable wheel is built."""
        if version == "editable":
            build_data["force_include_editable"] = dict(self.build_config.target_config["force-include"])
