"""PET-MAD for metatrain: bridges metatomic systems and metatensor outputs to the network on plain tensors."""

from typing import Any, Dict, List, Literal, Optional

import torch
from metatensor.torch import Labels, TensorMap
from metatomic.torch import AtomisticModel, ModelMetadata, ModelOutput, NeighborListOptions, System
from metatrain.scaler import Scaler
from metatrain.utils.abc import ModelInterface
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import DatasetInfo, TargetInfo
from metatrain.utils.data.atom_pair_helpers import check_no_atom_pair_targets

from electrain.architectures.base import checkpoints
from electrain.architectures.base.baselines import add_contribution, make_baselines, with_baselines, with_scales
from electrain.architectures.base.exporting import export_model
from electrain.architectures.base.long_range import LongRange
from electrain.architectures.base.restarts import (
    agreed_hypers,
    check_elements,
    let_known_targets_be_found,
    restart_baselines,
)
from electrain.architectures.base.targets import (
    check_target_set,
    checked_dataset_info,
    energy_grid,
    reads_density_of_states,
)
from electrain.interface.layouts import OutputLayout, symmetric_stress
from electrain.interface.quantities import (
    BAND_GAP,
    DENSITY_OF_STATES,
    DIRECT_STRESS,
    INTENSIVE,
    base_quantity,
    last_layer_features_name,
)
from electrain.interface.states import read_states, state_inputs
from electrain.interface.systems import SampleLabels, features_output, select, systems_to_batch
from electrain.nn.batch import Batch
from electrain.nn.pooling import PooledFeatures, average_systems, pool_systems
from electrain.nn.selection import Selection, of_selected
from electrain.nn.spectrum_convolution import SpectrumConvolution

from .documentation import ModelHypers
from .network.network import Features, PointEdgeTransformer


class PETMAD(ModelInterface[ModelHypers]):
    """The Point Edge Transformer with heads for energies, densities of states, band gap and Fermi level.

    :param hypers: see :class:`~electrain.architectures.pet_mad.documentation.ModelHypers`.
    :param dataset_info: elements and targets.
    :raises ValueError: for targets that do not fit the hyperparameters.
    """

    __checkpoint_version__ = 3
    __supported_devices__ = ["cuda", "cpu"]  # noqa: RUF012 (metatrain's interface)
    __supported_dtypes__ = [torch.float32, torch.float64]  # noqa: RUF012
    __default_metadata__ = ModelMetadata(
        references={
            "architecture": [f"https://arxiv.org/abs/{key}" for key in ("2305.19302", "2503.14118", "2508.17418")]
        }
    )

    # TorchScript: the types of dictionaries are read from the class
    outputs: dict[str, ModelOutput]
    feature_names: dict[str, str]
    stresses: list[str]
    intensive: list[str]
    new_targets: list[str]
    absent_targets: list[str]
    last_layer_parameter_names: dict[str, list[str]]  # read by metatrain's `llpr`

    def __init__(self, hypers: ModelHypers, dataset_info: DatasetInfo) -> None:
        check_no_atom_pair_targets(dataset_info.targets, self.__class__.__name__)
        grid = energy_grid(hypers)
        dataset_info = checked_dataset_info(dataset_info, grid)
        super().__init__(hypers, dataset_info, self.__default_metadata__)
        self.grid = grid
        self.atomic_types = sorted(dataset_info.atomic_types)
        # The last entry stays -1 and stands for all atomic numbers beyond the table.
        elements = torch.full((max(self.atomic_types) + 2,), -1, dtype=torch.int64)
        elements[torch.tensor(self.atomic_types)] = torch.arange(len(self.atomic_types))
        self.register_buffer("element_of_type", elements)

        others = ("energy_grid", "band_gap_from", "zbl", "long_range")
        network_hypers: Any = {name: value for name, value in hypers.items() if name not in others}
        self.network = PointEdgeTransformer(num_elements=len(self.atomic_types), **network_hypers)
        self.reads_states: bool = hypers["system_conditioning"]
        self.spectrum_heads = torch.nn.ModuleDict()
        self.layouts = torch.nn.ModuleDict()
        self.outputs = {
            "feature": ModelOutput(sample_kind="atom", description="features of the last layers of the network")
        }
        self.feature_names = {}
        self.last_layer_parameter_names = {}
        self.stresses = []
        check_target_set(list(dataset_info.targets), hypers)
        for name, info in dataset_info.targets.items():
            self._add_output(name, info)
        self.last_layer_feature_size = 2 * self.network.num_readouts * self.network.head_width

        self.additive_models = make_baselines(with_baselines(dataset_info), hypers["zbl"])
        self.scaler = Scaler(get_default_hypers("scaler")["model"], with_scales(dataset_info, hypers))
        # TorchScript: constants of other modules cannot be read inside `forward`
        self.density_of_states: str = DENSITY_OF_STATES
        self.band_gap: str = BAND_GAP
        self.intensive = list(INTENSIVE)
        with_long_range = bool(hypers["long_range"]["enable"])
        self.neighbor_list = NeighborListOptions(self.network.cutoff, full_list=True, strict=with_long_range)
        self.long_range = (
            LongRange(hypers["long_range"], self.network.node_width, self.neighbor_list) if with_long_range else None
        )
        self.element_spectra = None  # set by add_element_spectra
        self.new_targets, self.absent_targets = [], []

    def _add_output(self, name: str, info: TargetInfo) -> None:
        self.outputs[name] = ModelOutput(
            unit=info.unit,
            sample_kind="system" if name in INTENSIVE else "atom",
            description=info.description,
        )
        layout = OutputLayout(info.layout)
        self.layouts[name] = layout
        if reads_density_of_states(name, self.hypers):
            assert self.grid is not None  # their density of states needs it
            self.spectrum_heads[name] = SpectrumConvolution(self.grid.size)
            return
        if base_quantity(name) == DIRECT_STRESS:
            self.stresses.append(name)
        head = self.network.add_head(name, layout.size)
        if name == DENSITY_OF_STATES:
            # From random weights, every feature that training does not reach would add noise to all channels.
            head.start_from_zero()
        self.feature_names[name] = last_layer_features_name(name)
        self.outputs[self.feature_names[name]] = ModelOutput(
            sample_kind="atom", description=f"features that enter the last linear map for {name}"
        )
        self.last_layer_parameter_names[name] = [f"network.heads.{name}.last.weight"]

    def separate_parts(self) -> list[torch.nn.Module]:
        """Parts that share no gradient: the network, and each head that reads the detached density of states.

        Clipped together, the large gradients of one part would slow the others down.
        """
        features = self.network if self.long_range is None else torch.nn.ModuleList([self.network, self.long_range])
        return [features, *self.spectrum_heads.values()]

    def supported_outputs(self) -> dict[str, ModelOutput]:
        """All outputs, targets and features."""
        return self.outputs

    def requested_neighbor_lists(self) -> list[NeighborListOptions]:
        """One full list within the cutoff; pairs beyond it do no harm, except to long-range features."""
        return [self.neighbor_list]

    def requested_inputs(self) -> dict[str, ModelOutput]:
        """Charge and spin multiplicity, if the network reads them."""
        return state_inputs() if self.reads_states else {}

    # metatomic compares the signature with these very annotations, `list` and `dict` will not do
    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:
        """Predict the requested outputs, per atom or summed over the (selected) atoms of each structure.

        Band gap and Fermi level are read from the density of states per atom, or from features, averaged over the
        (selected) atoms. Scales and baselines are applied in evaluation mode; in training the targets are without them.
        """
        if len(outputs) == 0:
            return {}
        batch = self.read(systems)
        features = self.network(batch)
        if self.long_range is not None:
            features = self.long_range(systems, batch, features)
        selection, labels = select(batch, selected_atoms)
        predictions, pooled_features = self.evaluate_heads(features, batch.elements, outputs, selection)
        results = self.labelled(predictions, outputs, batch.cells, selection, labels)
        for name, pooled in pooled_features.items():
            results[name] = features_output(pooled, outputs[name].sample_kind, selection, labels)
        if self.training:
            return results
        return self._add_baselines(systems, outputs, results, selected_atoms)

    def read(self, systems: list[System]) -> Batch:
        """What the network reads of metatomic's systems."""
        states = read_states(systems) if self.reads_states else None
        return systems_to_batch(systems, self.neighbor_list, self.element_of_type, self.atomic_types, states)

    def evaluate_heads(
        self,
        features: Features,
        elements: torch.Tensor,
        outputs: dict[str, ModelOutput],
        selection: Selection,
    ) -> tuple[dict[str, torch.Tensor], dict[str, PooledFeatures]]:
        """Predicted numbers of the requested outputs, and the features of selected atoms that are outputs."""
        predictions: dict[str, torch.Tensor] = {}
        pooled_features: dict[str, PooledFeatures] = {}
        if "feature" in outputs:
            pooled_features["feature"] = of_selected(self.network.pooled_features(features), selection)
        spectra = torch.zeros(0)
        for name, head in self.network.heads.items():
            feature_name = self.feature_names[name]
            read_by_others = name == self.density_of_states and self._reads_density_of_states(outputs)
            if name in outputs or feature_name in outputs or read_by_others:
                pooled = head.features(features.nodes, features.edges, features.graph.centers, features.graph.weights)  # type: ignore[operator]
                pooled = of_selected(pooled, selection)
                if feature_name in outputs:
                    pooled_features[feature_name] = pooled
                if name in outputs and outputs[name].sample_kind == "atom":
                    predictions[name] = head(pooled)
                if (name in outputs and outputs[name].sample_kind != "atom") or read_by_others:
                    summed = pool_systems(pooled, selection.system_of_atom, len(selection.num_atoms))
                    values = head(average_systems(summed) if name == self.band_gap else summed)
                    if name in outputs and outputs[name].sample_kind != "atom":
                        predictions[name] = values
                    if read_by_others:
                        spectra = values / summed.num_nodes.clamp_min(1.0).unsqueeze(1)
        if self.element_spectra is not None:
            spectra = self.element_spectra(predictions, outputs, spectra, elements[selection.atoms], selection)
        for name, spectrum_head in self.spectrum_heads.items():
            if name in outputs:
                # Detached: these heads read the density of states and never change it.
                predictions[name] = spectrum_head(spectra.detach())
        for name in self.intensive:
            if name in predictions:
                if outputs[name].sample_kind != "system":
                    raise ValueError(name + " is a property of a whole structure, it cannot be computed per atom")
                values = predictions[name]
                if name == self.band_gap and not self.training:
                    values = torch.relu(values)
                # A structure without a selected atom has nothing to read from: NaN.
                predictions[name] = torch.where(selection.num_atoms > 0, values, torch.nan)
        return predictions, pooled_features

    def labelled(
        self,
        predictions: dict[str, torch.Tensor],
        outputs: dict[str, ModelOutput],
        cells: torch.Tensor,
        selection: Selection,
        labels: SampleLabels,
    ) -> dict[str, TensorMap]:
        """Predicted numbers with samples, components and properties; stresses per volume of their cells."""
        results: dict[str, TensorMap] = {}
        for name, layout in self.layouts.items():
            if name in predictions:
                per_atom = outputs[name].sample_kind == "atom"
                values = predictions[name]
                if name in self.stresses:
                    values = symmetric_stress(values, cells[selection.system_of_atom] if per_atom else cells)
                results[name] = layout(values, labels.per_atom if per_atom else labels.per_system)
        return results

    def _reads_density_of_states(self, outputs: dict[str, ModelOutput]) -> bool:
        reads = False
        for name in self.spectrum_heads.keys():  # noqa: SIM118 (TorchScript: a ModuleDict is no iterable)
            reads = reads or name in outputs
        return reads

    def _add_baselines(
        self,
        systems: list[System],
        outputs: dict[str, ModelOutput],
        results: dict[str, TensorMap],
        selected_atoms: Optional[Labels],
    ) -> dict[str, TensorMap]:
        scaled: dict[str, TensorMap] = {}
        for name in results:
            if name in self.scaler.outputs:
                scaled[name] = results[name]
        if len(scaled) == 0:
            return results
        scaled = self.scaler.apply_scales(
            systems, scaled, False, selected_atoms, use_per_target_scales=True, use_per_property_scales=True
        )
        for name in scaled:
            results[name] = scaled[name]
        for additive_model in self.additive_models:
            requested: dict[str, ModelOutput] = {}
            for name, output in outputs.items():
                if name in additive_model.outputs and name in results:  # type: ignore[operator]
                    requested[name] = output
            if len(requested) > 0:  # TorchScript: no `continue` in loops over modules
                contributions = additive_model(systems, requested, selected_atoms)
                for name in contributions:
                    results[name] = add_contribution(results[name], contributions[name])
        return results

    def restart(self, dataset_info: DatasetInfo, model_hypers: Optional[dict[str, Any]] = None) -> "PETMAD":
        """Prepare for training on another dataset: new targets get new heads.

        :raises ValueError: for elements the model does not know, other hyperparameters or another energy axis.
        """
        self.hypers = agreed_hypers(self.hypers, model_hypers or {})  # type: ignore[has-type]
        self.grid = energy_grid(self.hypers)
        check_elements(dataset_info.atomic_types, self.atomic_types)
        dataset_info = checked_dataset_info(dataset_info, self.grid)
        known = self.dataset_info.targets  # type: ignore[has-type]
        merged = self.dataset_info.union(dataset_info)  # type: ignore[has-type]
        check_target_set(list(merged.targets), self.hypers)
        self.new_targets = [name for name in merged.targets if name not in known]
        self.absent_targets = [name for name in known if name not in dataset_info.targets]
        for name in self.new_targets:
            self._add_output(name, merged.targets[name])
        self.dataset_info = merged
        restart_baselines(self.additive_models, with_baselines(dataset_info), with_baselines(merged))
        self.scaler = self.scaler.restart(with_scales(dataset_info, self.hypers))
        let_known_targets_be_found(self.scaler)
        return self

    def head(self, target: str) -> torch.nn.Module:
        """The network that predicts a target from the features, or from the density of states."""
        return self.spectrum_heads[target] if target in self.spectrum_heads else self.network.heads[target]

    def remove_output(self, target_name: str) -> None:
        """Forget a target: its head, baseline and scale."""
        for modules in (self.network.heads, self.spectrum_heads, self.layouts):
            if target_name in modules:
                del modules[target_name]
        self.outputs.pop(target_name)
        self.outputs.pop(self.feature_names.pop(target_name, ""), None)
        self.last_layer_parameter_names.pop(target_name, None)
        if target_name == DENSITY_OF_STATES:
            self.element_spectra = None
        if target_name in self.stresses:
            self.stresses.remove(target_name)
        for baseline in [*self.additive_models, self.scaler]:
            if target_name in baseline.outputs:
                baseline.remove_output(target_name)
        self.dataset_info.targets.pop(target_name)

    @classmethod
    def load_checkpoint(cls, checkpoint: dict[str, Any], context: Literal["restart", "finetune", "export"]) -> "PETMAD":
        """Rebuild the model: its latest state to restart, its best one to finetune or export."""
        return checkpoints.read_model(cls, checkpoint, context)

    def get_checkpoint(self) -> dict[str, Any]:
        """Everything that :meth:`load_checkpoint` needs."""
        return checkpoints.write_model(self)

    @classmethod
    def upgrade_checkpoint(cls, checkpoint: dict[str, Any]) -> dict[str, Any]:
        """Bring an older checkpoint to the current version."""
        return checkpoints.upgrade_model(checkpoint, cls.__checkpoint_version__)

    def export(self, metadata: Optional[ModelMetadata] = None) -> AtomisticModel:
        """Turn the model into a metatomic model for simulation engines; its metadata carries the energy axis."""
        return export_model(self, metadata)
