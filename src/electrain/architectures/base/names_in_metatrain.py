"""Names of models where ``mtt train`` expects the path of a checkpoint.

metatrain checks ``finetune.read_from`` with our validator, but then opens what is written in the options, not what the
validator returns.
"""

import sys
from typing import Any

import torch

_FILES: dict[str, str] = {}


class _Torch:
    """The module torch, except that :meth:`load` also opens names."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    @staticmethod
    def load(file: Any, *arguments: Any, **options: Any) -> Any:
        """Do what ``torch.load`` does, with the file that a name stands for."""
        named = _FILES.get(file) if isinstance(file, str) else None
        return torch.load(named or file, *arguments, **options)


def open_as(name: str, file: str) -> None:
    """Let ``mtt train`` in this process open a file by a name; nothing changes for other code."""
    _FILES[name] = file
    command: Any = sys.modules.get("metatrain.cli.train")
    if command is not None and not isinstance(command.torch, _Torch):
        command.torch = _Torch()
