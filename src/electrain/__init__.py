"""Electronic structure of molecules and materials, learned with the Point Edge Transformer."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from electrain.calculators import ElectronicStructureCalculator as ElectronicStructureCalculator
    from electrain.calculators import ElectronicStructureEnsemble as ElectronicStructureEnsemble
    from electrain.calculators import ElectronicStructureModel as ElectronicStructureModel
    from electrain.results import ElectronicStructure as ElectronicStructure

__version__ = "0.1.0"

__all__ = [
    "ElectronicStructure",
    "ElectronicStructureCalculator",
    "ElectronicStructureEnsemble",
    "ElectronicStructureModel",
    "__version__",
]

# Imported when they are asked for, because torch takes seconds.
_HOMES = {
    "ElectronicStructure": "electrain.results",
    "ElectronicStructureCalculator": "electrain.calculators",
    "ElectronicStructureEnsemble": "electrain.calculators",
    "ElectronicStructureModel": "electrain.calculators",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
