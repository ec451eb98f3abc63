"""The model of all architectures, which connects metatomic's systems, metatensor's maps and a plain-tensor network."""

from collections.abc import Mapping
from typing import Any, Dict, List, Literal, Optional

import torch
from metatensor.torch import Labels, TensorMap
from metatomic.torch import AtomisticModel, ModelMetadata, ModelOutput, NeighborListOptions, System
from metatrain.scaler import Scaler
from metatrain.utils.abc import ModelInterface
from metatrain.utils.architectures import get_default_hypers
from metatrain.utils.data import DatasetInfo, TargetInfo
from metatrain.utils.data.atom_pair_helpers import check_no_atom_pair_targets

from electrain.files.upgrades import Upgrade, upgrade
from electrain.interface.capabilities import check_outputs_exist
from electrain.interface.layouts import OutputLayout, symmetric_stress
from electrain.interface.quantities import DENSITY_OF_STATES, last_layer_features_name, quantity_of
from electrain.interface.states import CRYSTAL_SYSTEM, K_POINTS, check_k_points, read_inputs, state_inputs
from electrain.interface.systems import SampleLabels, element_table, features_output, select, systems_to_batch
from electrain.nn.batch import Batch
from electrain.nn.network import Network, Request
from electrain.nn.selection import Selection, means_over_atoms, of_selected
from electrain.nn.spectrum_convolution import SpectrumConvolution
from electrain.spectra.axis import EnergyAxis
from electrain.uncertainty.registration import SpectralUncertainty

from . import checkpoints
from .baselines import add_contribution, fill_tables_of_types, make_baselines, with_baselines, with_scales
from .element_spectra import ElementSpectra
from .exporting import export_model
from .long_range import LongRange
from .restarts import remove_output, restart_model
from .targets import axis_of, check_target_set, checked_dataset_info, fixed_axes_of, head_options, spectrum_read_for
from .unpaired_electrons import unpaired_electrons


class SpectralModel(ModelInterface):
    """Energies, spectra and quantities read from them, with any :class:`~electrain.nn.network.Network`.

    An architecture assigns the class attributes below (without annotations, which would hide those of this class from
    TorchScript) and implements :meth:`make_network`.

    :param hypers: see :class:`~electrain.architectures.base.hypers.SpectralModelHypers`, and those of the network.
    :param dataset_info: elements and targets.
    :raises ValueError: for targets that are inconsistent with the hyperparameters.
    """

    architecture = ""  # its name
    upgrades: Mapping[int, Upgrade] = {}  # of older checkpoints, by their version
    tensors = "all"  # which its network predicts beside scalars: "all", "vectors" (Cartesian ones) or "none"
    from_data: tuple[str, ...] = ()  # hyperparameters that a new training takes from its data where they are null
    uncertainty = SpectralUncertainty  # the class that replaces metatrain's `llpr` model

    __supported_devices__ = ["cuda", "cpu"]  # noqa: RUF012 (metatrain's interface)
    __supported_dtypes__ = [torch.float32, torch.float64]  # noqa: RUF012

    # TorchScript: the types of dictionaries are read from the class
    outputs: Dict[str, ModelOutput]
    feature_names: Dict[str, str]
    read_from: Dict[str, str]
    factors: Dict[str, float]  # of the network's predictions
    per_volume: List[str]
    intensive: List[str]
    non_negative: List[str]
    new_targets: List[str]
    absent_targets: List[str]
    other_valence: List[str]  # elements of the dataset with other numbers of valence electrons than known before
    outputs_of_wrapper: List[str]  # of an uncertainty model around this one, which may pass them on
    last_layer_parameter_names: Dict[str, List[str]]  # read by metatrain's `llpr`

    def __init__(self, hypers: Any, dataset_info: DatasetInfo) -> None:
        check_no_atom_pair_targets(dataset_info.targets, self.__class__.__name__)
        axis, fixed_axes = axis_of(hypers), fixed_axes_of(hypers)
        dataset_info = checked_dataset_info(dataset_info, hypers, type(self))
        check_target_set(list(dataset_info.targets), hypers)
        super().__init__(hypers, dataset_info, self.__default_metadata__)
        self.axis, self.fixed_axes = axis, fixed_axes
        self.atomic_types = sorted(dataset_info.atomic_types)
        self.register_buffer("element_of_type", element_table(self.atomic_types))

        self.network = self.make_network(hypers, self.atomic_types, axis)
        self.reads_states, self.reads_crystal_systems = self.network.reads_states, self.network.reads_crystal_systems
        self.reads_k_points = self.network.reads_k_points
        self.spectrum_heads, self.layouts = torch.nn.ModuleDict(), torch.nn.ModuleDict()
        self.outputs = {
            "feature": ModelOutput(sample_kind="atom", description="features of the last layers of the network")
        }
        self.feature_names, self.read_from, self.last_layer_parameter_names = {}, {}, {}
        self.per_volume, self.intensive, self.non_negative, self.factors = [], [], [], {}
        for name, info in dataset_info.targets.items():
            self.add_output(name, info)
        self.last_layer_feature_size = self.network.num_features

        self.additive_models = make_baselines(with_baselines(dataset_info), hypers["zbl"])
        self.scaler = Scaler(get_default_hypers("scaler")["model"], with_scales(dataset_info, hypers))
        fill_tables_of_types(self)
        long_range = hypers.get("long_range") or {"enable": False}
        self.neighbor_list = NeighborListOptions(
            self.network.neighbor_radius(), full_list=True, strict=bool(long_range["enable"])
        )
        self.long_range = (
            LongRange(long_range, self.network.node_width, self.neighbor_list) if long_range["enable"] else None
        )
        self.element_spectra = None
        self.unpaired_electrons = unpaired_electrons(self.axis, self.atomic_types, self.reads_states)
        self.density_of_states: str = DENSITY_OF_STATES  # TorchScript: constants of modules cannot be read
        self.new_targets, self.absent_targets, self.outputs_of_wrapper, self.other_valence = [], [], [], []

    @staticmethod
    def make_network(hypers: Any, atomic_types: list[int], axis: EnergyAxis | None) -> Network:
        """Make the network of the architecture, without outputs; ``Batch.elements`` are indices into the types."""
        raise NotImplementedError

    def add_output(self, name: str, info: TargetInfo) -> None:
        """Add a target: its head, layout and outputs."""
        quantity = quantity_of(name)
        sample_kind = "system" if quantity.intensive else "atom"
        self.outputs[name] = ModelOutput(unit=info.unit, sample_kind=sample_kind, description=info.description)
        layout = OutputLayout(info.layout)
        self.layouts[name] = layout
        self.per_volume += [name] * quantity.per_volume
        self.intensive += [name] * quantity.intensive
        self.non_negative += [name] * quantity.is_non_negative
        spectrum = spectrum_read_for(name, self.hypers)
        if spectrum is not None:
            assert self.axis is not None  # their spectrum needs it
            self.read_from[name] = spectrum
            self.spectrum_heads[name] = SpectrumConvolution(self.axis.grid.size)
            return
        kind, channels, self.factors[name], is_vector = head_options(name, info, self.axis, self.fixed_axes)
        self.network.add_output(name, layout.size, kind, channels, is_vector=is_vector)
        self.feature_names[name] = last_layer_features_name(name)
        self.outputs[self.feature_names[name]] = ModelOutput(
            sample_kind="atom", description=f"features that enter the last linear map for {name}"
        )
        self.last_layer_parameter_names[name] = [f"network.{weight}" for weight in self.network.last_layer(name)]

    def add_element_spectra(self) -> torch.Tensor:
        """Add a spectrum of each element to the density of states, initially zero: (num_elements, num_channels)."""
        assert self.axis is not None  # its density of states needs it
        added = ElementSpectra(len(self.atomic_types), self.axis.grid.size).to(next(self.network.parameters()).dtype)
        self.element_spectra = added  # type: ignore[assignment]
        return added.spectra

    def separate_parts(self) -> list[torch.nn.Module]:
        """Return the parts that share no gradient: the network, and each head that reads a detached spectrum.

        If they were clipped together, large gradients of one part would slow down the training of the others.
        """
        features = self.network if self.long_range is None else torch.nn.ModuleList([self.network, self.long_range])
        return [features, *self.spectrum_heads.values()]

    def supported_outputs(self) -> dict[str, ModelOutput]:
        """Return all outputs: targets and features."""
        return self.outputs

    def requested_neighbor_lists(self) -> list[NeighborListOptions]:
        """Request one full list within the cutoff; pairs beyond it do no harm, except to long-range features."""
        return [self.neighbor_list]

    def requested_inputs(self) -> dict[str, ModelOutput]:
        """Request charge and spin multiplicity, if the network reads them."""
        return state_inputs() if self.reads_states else {}

    def optional_inputs(self) -> list[str]:
        """Return what is read if a structure has it, but not requested, because most engines could not provide it."""
        return [CRYSTAL_SYSTEM] * self.reads_crystal_systems + [K_POINTS] * self.reads_k_points

    # metatomic compares the signature with exactly these annotations; it does not accept `list` and `dict`
    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:
        """Predict the requested outputs, per atom or summed over the (selected) atoms of each structure.

        Band gap and Fermi level are read from the density of states per atom, or from features, averaged over the
        (selected) atoms. Scales and baselines are applied in evaluation mode; in training the targets lack them. An
        output that the model does not have is a ``ValueError``.
        """
        if len(outputs) == 0:
            return {}
        check_outputs_exist(outputs, self.outputs, self.outputs_of_wrapper)
        batch = self.read(systems)
        features = self.network(batch)
        if self.long_range is not None:
            far = self.long_range(systems, batch, self.network.node_features(features))
            features = self.network.add_long_range(features, far)
        selection, labels = select(batch, selected_atoms)
        request = self.request(outputs)
        check_k_points(batch.k_points, request.wanted, self.training)
        found = self.network.predict(features, request.wanted, request.features_of, selection)
        values = self.complete(found.values, request.wanted, outputs, batch.elements, selection)
        results = self.labelled(values, outputs, batch.cells, selection, labels)
        for name, pooled in found.features.items():
            output = self.feature_names[name]
            results[output] = features_output(pooled, outputs[output].sample_kind, selection, labels)
        if "feature" in outputs:
            pooled = of_selected(self.network.pooled_features(features), selection)
            results["feature"] = features_output(pooled, outputs["feature"].sample_kind, selection, labels)
        if self.training:
            return results
        return self._add_baselines(systems, outputs, results, selected_atoms)

    def read(self, systems: list[System]) -> Batch:
        """Convert metatomic's systems to the input of the network."""
        inputs = read_inputs(systems, self.reads_states, self.reads_crystal_systems, self.reads_k_points)
        return systems_to_batch(systems, self.neighbor_list, self.element_of_type, self.atomic_types, inputs)

    def request(self, outputs: dict[str, ModelOutput]) -> Request:
        """Return the predictions that these outputs require from the network."""
        wanted: dict[str, str] = {}
        features_of: list[str] = []
        for name, feature_name in self.feature_names.items():
            if name in outputs:
                wanted[name] = outputs[name].sample_kind
            if feature_name in outputs:
                features_of.append(name)
        for name, spectrum in self.read_from.items():
            if name in outputs and spectrum not in wanted:
                wanted[spectrum] = "system"
        return Request(wanted, features_of)

    def complete(
        self,
        values: dict[str, torch.Tensor],
        kinds: dict[str, str],
        outputs: dict[str, ModelOutput],
        elements: torch.Tensor,
        selection: Selection,
    ) -> dict[str, torch.Tensor]:
        """Return the predictions of the network, together with quantities read from its spectra.

        :param values: predictions of the network.
        :param kinds: their kinds, ``"atom"`` or ``"system"``.
        :param outputs: the requested outputs.
        :param elements: (num_atoms,) elements of the batch.
        :param selection: the selected atoms.
        :raises ValueError: for a property of whole structures that was requested per atom.
        """
        completed: dict[str, torch.Tensor] = {}
        for name, rows in values.items():
            completed[name] = rows * self.factors[name]
        if self.element_spectra is not None and self.density_of_states in completed:
            added = self.element_spectra(elements[selection.atoms], selection, kinds[self.density_of_states])
            completed[self.density_of_states] = completed[self.density_of_states] + added
        for name, spectrum_head in self.spectrum_heads.items():
            if name in outputs:
                spectrum = self.read_from[name]
                # Detached, because these heads read spectra and must not change them.
                means = means_over_atoms(completed[spectrum].detach(), kinds[spectrum], selection)
                completed[name] = spectrum_head(means)
        for name in self.intensive:
            if name in completed:
                if outputs[name].sample_kind != "system":
                    raise ValueError(name + " is a property of a whole structure, so it cannot be computed per atom")
                numbers = completed[name]
                if name in self.non_negative and not self.training:
                    numbers = torch.relu(numbers)
                if self.unpaired_electrons is not None and name in self.non_negative:  # a band gap
                    numbers = torch.where(self.unpaired_electrons(elements, selection), 0.0, numbers)
                # A structure without selected atoms has nothing to read from, so the result is NaN.
                completed[name] = torch.where(selection.num_atoms > 0, numbers, torch.nan)
        return completed

    def labelled(
        self,
        values: dict[str, torch.Tensor],
        outputs: dict[str, ModelOutput],
        cells: torch.Tensor,
        selection: Selection,
        labels: SampleLabels,
    ) -> dict[str, TensorMap]:
        """Label predicted numbers with samples, components and properties; stresses are divided by the volume."""
        results: dict[str, TensorMap] = {}
        for name, layout in self.layouts.items():
            if name in outputs:
                per_atom = outputs[name].sample_kind == "atom"
                numbers = values[name]
                if name in self.per_volume:
                    numbers = symmetric_stress(numbers, cells[selection.system_of_atom] if per_atom else cells)
                results[name] = layout(numbers, labels.per_atom if per_atom else labels.per_system)
        return results

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

    def restart(self, dataset_info: DatasetInfo, model_hypers: Optional[dict[str, Any]] = None) -> "SpectralModel":
        """Prepare for training on another dataset: new targets get new heads.

        :raises ValueError: for elements the model does not know, other hyperparameters or another energy axis.
        """
        restart_model(self, dataset_info, model_hypers or {})
        return self

    def head(self, target: str) -> torch.nn.Module:
        """Return the network that predicts a target from the features, or from a spectrum."""
        return self.spectrum_heads[target] if target in self.spectrum_heads else self.network.head(target)

    def remove_output(self, target_name: str) -> None:
        """Remove a target: its head, baseline and scale."""
        remove_output(self, target_name)

    @classmethod
    def load_checkpoint(
        cls, checkpoint: dict[str, Any], context: Literal["restart", "finetune", "export"]
    ) -> "SpectralModel":
        """Rebuild the model: its latest state for a restart, its best state for fine-tuning or export."""
        return checkpoints.read_model(cls, checkpoint, context)

    def get_checkpoint(self) -> dict[str, Any]:
        """Return everything that :meth:`load_checkpoint` needs."""
        return checkpoints.write_model(self)

    @classmethod
    def upgrade_checkpoint(cls, checkpoint: dict[str, Any]) -> dict[str, Any]:
        """Upgrade an older checkpoint to the current version."""
        return upgrade(checkpoint, "model", cls.upgrades, cls.__checkpoint_version__)

    def export(self, metadata: Optional[ModelMetadata] = None) -> AtomisticModel:
        """Convert the model to a metatomic model for simulation engines, with the energy axis in its metadata."""
        return export_model(self, metadata)
