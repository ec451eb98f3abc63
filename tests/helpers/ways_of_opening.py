"""All ways in which electrain opens an exported model; each takes the file and an ``extensions_directory``."""

from electrain.calculators import (
    ElectronicStructureCalculator,
    ElectronicStructureModel,
    load_model,
    with_hot_electrons,
)
from electrain.evaluation.evaluated_model import EvaluatedModel
from electrain.files.models import load_any_model
from electrain.pretrained import locate

WAYS = {
    "load_model": load_model,
    "load_any_model": load_any_model,
    "model": ElectronicStructureModel,
    "calculator": ElectronicStructureCalculator,
    "hot": lambda path, **options: with_hot_electrons(path, 1000.0, {"Si": 4}, **options),
    "evaluate": lambda path, **options: EvaluatedModel(
        locate(path), None, None, batch_size=1, matmul_precision="highest", **options
    ),
}
