"""Baselines that are added to the network's predictions: energies of atoms, and the repulsion between nuclei."""

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatrain.composition import CompositionModel
from metatrain.composition._base_composition import BaseCompositionModel
from metatrain.scaler._base_scaler import BaseScaler
from metatrain.utils.additive import ZBL
from metatrain.utils.data import DatasetInfo

from electrain.interface.quantities import quantity_of

from .hypers import SpectralModelHypers
from .targets import spectrum_read_for


def with_baselines(dataset_info: DatasetInfo) -> DatasetInfo:
    """Return the targets with baselines: not the electronic structure, which is not a sum over elements."""
    return _with_targets(dataset_info, [name for name in dataset_info.targets if quantity_of(name).has_baseline])


def with_scales(dataset_info: DatasetInfo, hypers: SpectralModelHypers) -> DatasetInfo:
    """Return the targets with scales: all but spectra and quantities read from them."""
    scaled = [name for name in dataset_info.targets if quantity_of(name).is_scaled]
    return _with_targets(dataset_info, [name for name in scaled if spectrum_read_for(name, hypers) is None])


def _with_targets(dataset_info: DatasetInfo, names: list[str]) -> DatasetInfo:
    targets = {name: dataset_info.targets[name] for name in names}
    return DatasetInfo(dataset_info.length_unit, sorted(dataset_info.atomic_types), targets)


def make_baselines(dataset_info: DatasetInfo, zbl: bool) -> torch.nn.ModuleList:
    """Make metatrain's composition model for all targets that can have one, and, if requested, its ZBL repulsion.

    :param dataset_info: the result of :func:`with_baselines`.
    :raises ValueError: for a repulsion without energies.
    """
    baselines = [CompositionModel.from_valid_targets(dataset_info, dataset_info.atomic_types)]
    if zbl:
        energies = energies_of(dataset_info)
        if not energies.targets:
            raise ValueError("`zbl` in `architecture.model` adds a repulsion to energies, but no target is an energy")
        baselines.append(ZBL({}, dataset_info=energies))
    return torch.nn.ModuleList(baselines)


def energies_of(dataset_info: DatasetInfo) -> DatasetInfo:
    """Return the targets to which the ZBL repulsion is added."""
    targets = {name: info for name, info in dataset_info.targets.items() if ZBL.is_valid_target(name, info)}
    return DatasetInfo(dataset_info.length_unit, sorted(dataset_info.atomic_types), targets)


def fill_tables_of_types(model: torch.nn.Module) -> None:
    """Write -1 where metatrain's tables of atomic types are uninitialised memory, which no element reads.

    Otherwise equal trainings would give different files.
    """
    for module in model.modules():
        if isinstance(module, (BaseCompositionModel, BaseScaler)):
            types = module.atomic_types.to(device=module.type_to_index.device, dtype=torch.int64)
            module.type_to_index.fill_(-1)
            module.type_to_index[types] = torch.arange(len(types), device=types.device)


def add_contribution(prediction: TensorMap, contribution: TensorMap) -> TensorMap:
    """Add a baseline, which may lack some of the prediction's blocks and samples.

    The baseline has only invariant blocks, and no rows for structures without requested atoms.
    """
    blocks: list[TensorBlock] = []
    for key, block in prediction.items():
        values = block.values
        if key in contribution.keys:
            other = contribution.block(key)
            added = other.values.to(dtype=values.dtype, device=values.device)
            values = values.index_add(0, _positions(other.samples, block.samples), added)
        blocks.append(TensorBlock(values, block.samples, block.components, block.properties))
    return TensorMap(prediction.keys, blocks)


def _positions(entries: Labels, labels: Labels) -> torch.Tensor:
    """Position of each entry in the labels, which contain all entries."""
    if entries == labels:
        return torch.arange(len(entries), device=labels.values.device)
    _, of_entries, of_labels = entries.intersection_and_mapping(labels)
    # the mappings go from each set of labels to their intersection, with -1 for labels outside it
    rows = torch.nonzero(of_labels >= 0).squeeze(1)
    row_of_common = torch.empty_like(rows)
    row_of_common[of_labels[rows]] = rows
    return row_of_common[of_entries]
