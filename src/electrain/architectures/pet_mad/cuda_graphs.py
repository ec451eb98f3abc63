"""Training with CUDA graphs: the network is recorded once for each batch size, and replayed.

A batch of small structures keeps a GPU busy for less time than it takes to launch its kernels one by one. A replay
launches them all at once, forward as well as backward, on tensors of fixed addresses and sizes, so batches are padded.
"""

import bisect
from collections.abc import Callable
from typing import Any, Optional

import torch
from metatensor.torch import Labels, TensorMap
from metatomic.torch import ModelOutput, System
from torch import nn

from electrain.interface.systems import select
from electrain.nn.batch import Batch, Edges
from electrain.nn.point_edge_transformer.buckets import first_edges, first_slots
from electrain.nn.point_edge_transformer.capacity import (
    Capacity,
    FilledBatch,
    Sizes,
    capacity_for,
    fill,
    find_capacity,
    prepare_filled,
    reserve,
)
from electrain.nn.selection import Selection

from .model import PETMAD

# A recording has room for this multiple of the structures, edges and rows of the batch that it was made for ...
ROOM = 1.15
# ... and is used for batches whose own capacity would need less work, by up to this factor.
WASTE = 1.4
# Once there are this many, other batches are computed kernel by kernel. Each recording has its own gradients of all
# parameters.
MAX_RECORDINGS = 32


class Predictions(nn.Module):
    """The part of a model that is recorded: from the tensors of a batch to its predicted numbers.

    :param model: model whose parameters are used; they stay where they are.
    :param outputs: outputs to predict.
    :param capacity: sizes of all batches.
    """

    def __init__(self, model: PETMAD, outputs: dict[str, ModelOutput], capacity: Capacity) -> None:
        super().__init__()
        self.model, self.outputs, self.capacity = model, outputs, capacity
        self.row_starts = first_slots(capacity.rows, capacity.lengths, model.element_of_type.device)

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Compute a tensor for each output, in order, from the fields of a ``FilledBatch``."""
        filled, model = FilledBatch(*tensors), self.model
        network: Any = model.network
        batch = prepare_filled(filled, self.capacity, self.row_starts, model.reads_states)
        num_atoms = filled.elements.new_zeros(self.capacity.num_systems)
        num_atoms = num_atoms.index_add(0, filled.system_of_atom, torch.ones_like(filled.elements))
        atoms = torch.arange(self.capacity.num_atoms, device=filled.elements.device)
        selection = Selection(atoms, filled.system_of_atom, num_atoms.unsqueeze(1), all_atoms=True)
        features = network.propagate(batch)
        request = model.request(self.outputs)
        found = network.predict(features, request.wanted, request.features_of, selection)
        values = model.complete(found.values, request.wanted, self.outputs, filled.elements, selection)
        return tuple(values[name] for name in self.outputs)


# A module and its arguments -> a function of such arguments with the same results and gradients.
Recorder = Callable[[nn.Module, tuple[torch.Tensor, ...]], Callable[..., tuple[torch.Tensor, ...]]]


def recorder_on_gpu() -> Recorder:
    """Return a recorder of CUDA graphs that share memory: only one may be between forward and backward pass."""
    pool = torch.cuda.graph_pool_handle()

    def record(module: nn.Module, tensors: tuple[torch.Tensor, ...]) -> Callable[..., tuple[torch.Tensor, ...]]:
        # not every output needs every parameter
        recorded: Any = torch.cuda.make_graphed_callables(module, tensors, allow_unused_input=True, pool=pool)
        return recorded

    return record


class Recording:
    """The predictions of a model, recorded at the first of several batches of one capacity.

    :param model: the model.
    :param outputs: outputs to predict.
    :param capacity: capacity of the recording.
    :param record: function that records the network.
    """

    def __init__(self, model: PETMAD, outputs: dict[str, ModelOutput], capacity: Capacity, record: Recorder) -> None:
        self.capacity = capacity
        self.sample_kinds = sample_kinds(outputs)
        self._predictions = Predictions(model, dict(outputs), capacity)
        self._record = record
        self._run: Callable[..., tuple[torch.Tensor, ...]] | None = None
        parameter = next(model.network.parameters())
        self._batch = reserve(capacity, parameter.device, parameter.dtype)

    def __call__(self, batch: Batch, graph: Edges, starts: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the predicted numbers of a batch, which must fit the capacity; see ``fill``."""
        fill(self._batch, batch, graph, starts)
        if self._run is None:
            self._run = self._record(self._predictions, tuple(self._batch))
        predictions: dict[str, torch.Tensor] = {}
        for (name, kind), values in zip(self.sample_kinds.items(), self._run(*self._batch), strict=True):
            predictions[name] = values[: len(batch.elements) if kind == "atom" else len(batch.cells)]
        return predictions


class GraphedModel(nn.Module):
    """A model whose training steps replay CUDA graphs.

    Steps that need gradients with respect to positions, and validation, are computed without graphs.

    :param model: model without long-range features and element spectra.
    :param record: function that records the network; default: CUDA graphs.
    :raises ValueError: for a model that cannot be recorded.
    """

    def __init__(self, model: PETMAD, record: Recorder | None = None) -> None:
        super().__init__()
        check_recordable(model)
        self.module = model
        self._record = recorder_on_gpu() if record is None else record
        self.recordings: list[Recording] = []  # in order of increasing work

    def supported_outputs(self) -> dict[str, ModelOutput]:
        """Return the outputs of the model."""
        return self.module.supported_outputs()

    def forward(
        self, systems: list[System], outputs: dict[str, ModelOutput], selected_atoms: Optional[Labels] = None
    ) -> dict[str, TensorMap]:
        """Predict the outputs of the model for all atoms of the systems."""
        model = self.module
        if not (model.training and torch.is_grad_enabled() and outputs and selected_atoms is None):
            return model(systems, outputs, selected_atoms)
        batch = model.read(systems)
        if batch.positions.requires_grad or batch.cells.requires_grad:
            return model(systems, outputs)
        network: Any = model.network
        graph = network.find_edges(batch)
        starts = first_edges(graph.centers, len(batch.elements))
        row_lengths = (starts.diff() + 1).cpu().sort().values
        sizes = Sizes(num_systems=len(systems), num_edges=len(graph.centers), row_lengths=row_lengths)
        recording = self._recording_for(sizes, outputs)
        if recording is None:
            return model(systems, outputs)
        selection, labels = select(batch, None)
        return model.labelled(recording(batch, graph, starts), outputs, batch.cells, selection, labels)

    def _recording_for(self, sizes: Sizes, outputs: dict[str, ModelOutput]) -> Recording | None:
        """Return the recording with the least work for a batch, or a new one if that is much more than needed."""
        known = [recording for recording in self.recordings if recording.sample_kinds == sample_kinds(outputs)]
        found = find_capacity([recording.capacity for recording in known], sizes, WASTE)
        if found is not None:
            return known[found]
        if len(self.recordings) == MAX_RECORDINGS:
            return None
        recording = Recording(self.module, outputs, capacity_for(sizes, ROOM), self._record)
        bisect.insort(self.recordings, recording, key=lambda known: known.capacity.cost)
        return recording


def sample_kinds(outputs: dict[str, ModelOutput]) -> dict[str, str]:
    """Return whether each output is requested per atom or per structure."""
    return {name: output.sample_kind for name, output in outputs.items()}


def check_recordable(model: PETMAD) -> None:
    """Raise a ``ValueError`` for a model with parts that cannot be recorded."""
    if model.long_range is not None:
        raise ValueError("`cuda_graphs` cannot record long-range features; switch one of them off")
    if model.element_spectra is not None:
        raise ValueError("`cuda_graphs` cannot record the element spectra of converted models; switch it off")
    if model.network.descriptors is not None:
        raise ValueError("`cuda_graphs` cannot record radial descriptors; switch one of them off")
