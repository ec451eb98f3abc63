"""Baselines that are added to the network's predictions: energies of atoms, and the repulsion of nuclei."""

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatrain.composition import CompositionModel
from metatrain.utils.additive import ZBL
from metatrain.utils.data import DatasetInfo

from electrain.interface.quantities import quantity_of

from .hypers import SpectralModelHypers
from .targets import spectrum_read_for


def with_baselines(dataset_info: DatasetInfo) -> DatasetInfo:
    """The targets that have baselines: not the electronic structure, which is no sum over elements."""
    return _with_targets(dataset_info, [name for name in dataset_info.targets if quantity_of(name).has_baseline])


def with_scales(dataset_info: DatasetInfo, hypers: SpectralModelHypers) -> DatasetInfo:
    """The targets that have scales: not spectra and what is read from them."""
    scaled = [name for name in dataset_info.targets if quantity_of(name).is_scaled]
    return _with_targets(dataset_info, [name for name in scaled if spectrum_read_for(name, hypers) is None])


def _with_targets(dataset_info: DatasetInfo, names: list[str]) -> DatasetInfo:
    targets = {name: dataset_info.targets[name] for name in names}
    return DatasetInfo(dataset_info.length_unit, sorted(dataset_info.atomic_types), targets)


def make_baselines(dataset_info: DatasetInfo, zbl: bool) -> torch.nn.ModuleList:
    """The composition model of metatrain for all targets that can have one, then, if asked for, its ZBL repulsion.

    :param dataset_info: as :func:`with_baselines` returns it.
    """
    baselines = [CompositionModel.from_valid_targets(dataset_info, dataset_info.atomic_types)]
    if zbl:
        baselines.append(ZBL({}, dataset_info=energies_of(dataset_info)))
    return torch.nn.ModuleList(baselines)


def energies_of(dataset_info: DatasetInfo) -> DatasetInfo:
    """The targets that the ZBL repulsion is added to."""
    targets = {name: info for name, info in dataset_info.targets.items() if ZBL.is_valid_target(name, info)}
    return DatasetInfo(dataset_info.length_unit, sorted(dataset_info.atomic_types), targets)


def add_contribution(prediction: TensorMap, contribution: TensorMap) -> TensorMap:
    """Add a baseline, which may lack some of the prediction's blocks and samples.

    It has invariant blocks only, and no rows for structures of which no atom was asked for.
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
    """Where each of the entries stands among the labels, all of which are there."""
    if entries == labels:
        return torch.arange(len(entries), device=labels.values.device)
    _, of_entries, of_labels = entries.intersection_and_mapping(labels)
    # the mappings go from either labels to their intersection, -1 for labels outside of it
    rows = torch.nonzero(of_labels >= 0).squeeze(1)
    row_of_common = torch.empty_like(rows)
    row_of_common[of_labels[rows]] = rows
    return row_of_common[of_entries]
