"""Uncertainties of a trained model, including its densities of states, with metatrain's ``llpr`` architecture."""

import logging
from types import FunctionType
from typing import Any, Dict, List, Optional

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import AtomisticModel, ModelCapabilities, ModelMetadata, ModelOutput, System
from metatrain.llpr.model import LLPRUncertaintyModel

from electrain.interface.capabilities import check_outputs_exist
from electrain.interface.quantities import (
    BAND_GAP,
    DENSITY_OF_STATES,
    ensemble_name,
    quantity_of,
    uncertainty_name,
)
from electrain.interface.systems import count_selected_atoms

from . import fit as uncertainty_fit
from .ensembles import SpectralEnsemble
from .fit import Datasets


def _renamed(function: Any, name: str) -> Any:
    """Return the same function with another name."""
    copy = FunctionType(function.__code__, function.__globals__, name, function.__defaults__)
    copy.__annotations__ = function.__annotations__
    return copy


class SpectralUncertainty(LLPRUncertaintyModel):
    """The ``llpr`` model of one of our models.

    For a target linear in the last-layer features f, the uncertainty is :math:`m_c (f^T C^{-1} f)^{1/2}` with a
    multiplier for every property c; for spectra of shifted parts, the same is an estimate that is calibrated like the
    others. And ensemble members differ by normal deviates of the last layer, with the
    covariance :math:`C^{-1}` between features and, between channels of a density of states, that of the errors of the
    validation structures. Band gap and Fermi level are read from each member by the model's own heads; one multiplier
    each accounts for the errors of the heads themselves.
    """

    # TorchScript: the types of lists and dictionaries are read from the class
    ensemble_gradient_outputs: List[str]
    derived_outputs: Dict[str, str]
    propagated: List[str]

    # TorchScript: a compiled method cannot call that of its base class, which therefore needs another name
    linear_forward = _renamed(LLPRUncertaintyModel.forward, "linear_forward")

    def set_wrapped_model(self, model: Any) -> None:
        """Set the trained model, determine the outputs, and allocate buffers for everything that is calibrated.

        :raises ValueError: for targets, elements or units that the model does not have, or ensembles that are not
            possible.
        """
        self.model = model
        self.ll_feat_size = model.last_layer_feature_size
        wrapped = model.export().capabilities()
        self._check_dataset(wrapped)
        self._check_members()
        targets = self.dataset_info.targets
        self.outputs_list = [name for name in targets if self._has_estimate(name)]
        self.ensemble_weight_sizes = dict(self.hypers["num_ensemble_members"])
        read_from_members = DENSITY_OF_STATES in self.ensemble_weight_sizes
        self.propagated = [name for name in targets if name in model.spectrum_heads and read_from_members]
        self.ensemble_gradient_outputs = []
        self.derived_outputs = {}
        # TorchScript: constants of other modules cannot be read inside `forward`
        self.density_of_states: str = DENSITY_OF_STATES
        self.density_of_states_ensemble: str = ensemble_name(DENSITY_OF_STATES)
        self.band_gap: str = BAND_GAP
        for name in targets:
            if name not in (*self.outputs_list, *self.propagated):
                logging.info(f"No uncertainty for {name}: {self._why_not(name)}")
        self._register_buffers(getattr(torch, wrapped.dtype))
        self._make_ensemble_layers()
        outputs = model.supported_outputs()
        own = self._own_outputs(outputs)
        model.outputs_of_wrapper = sorted({*model.outputs_of_wrapper, *own})
        self.capabilities = self._capabilities(wrapped, {**outputs, **own})

    @staticmethod
    def _capabilities(like: ModelCapabilities, outputs: Dict[str, ModelOutput]) -> ModelCapabilities:
        return ModelCapabilities(
            outputs=outputs,
            atomic_types=like.atomic_types,
            interaction_range=like.interaction_range,
            length_unit=like.length_unit,
            supported_devices=like.supported_devices,
            dtype=like.dtype,
        )

    def _has_estimate(self, name: str) -> bool:
        """Whether a target is a sum over atoms that have last-layer features, and has a single block."""
        quantity = quantity_of(name)
        if quantity.intensive or quantity.per_volume or name not in self.model.feature_names:
            return False
        if not self.model.network.has_last_features(name):
            return False
        return len(self.dataset_info.targets[name].layout) == 1

    def _why_not(self, name: str) -> str:
        if name in self.model.spectrum_heads:
            return f"it is read from an ensemble of {DENSITY_OF_STATES}, `num_ensemble_members` has none"
        return "it is not a sum over atoms that have last-layer features, in one block"

    def _check_dataset(self, wrapped: ModelCapabilities) -> None:
        if self.dataset_info.length_unit.lower() != wrapped.length_unit.lower():
            raise ValueError(
                f"the dataset has the length unit {self.dataset_info.length_unit!r}, the model {wrapped.length_unit!r}"
            )
        unknown = sorted(set(self.dataset_info.atomic_types) - set(wrapped.atomic_types))
        if unknown:
            raise ValueError(f"the dataset has atomic numbers {unknown}, the model knows {wrapped.atomic_types}")
        for name, info in self.dataset_info.targets.items():
            if name not in self.model.dataset_info.targets:
                raise ValueError(
                    f"the dataset has the target {name!r}, the model predicts {list(self.model.dataset_info.targets)}"
                )
            unit = self.model.dataset_info.targets[name].unit
            if info.unit != unit:
                raise ValueError(f"target {name!r} has the unit {info.unit!r} in the dataset, {unit!r} in the model")

    def _check_members(self) -> None:
        for name, number in self.hypers["num_ensemble_members"].items():
            if name in self.model.spectrum_heads:
                raise ValueError(
                    f"`num_ensemble_members` has {name!r}, which is read from the density of states; request "
                    f"members of {DENSITY_OF_STATES!r} instead, each of which gives one of {name!r}"
                )
            if name not in self.dataset_info.targets:
                raise ValueError(
                    f"`num_ensemble_members` has {name!r}, but the dataset's targets are "
                    f"{list(self.dataset_info.targets)}; without its values nothing can be calibrated"
                )
            if not self._has_estimate(name):
                raise ValueError(f"there can be no ensemble of {name!r}: {self._why_not(name)}")
            if number < 2:
                raise ValueError(f"expected at least 2 ensemble members of {name!r}, got {number}")

    def _num_properties(self, name: str) -> int:
        return len(self.dataset_info.targets[name].layout.block().properties)

    def _register_buffers(self, dtype: torch.dtype) -> None:
        square = (self.ll_feat_size, self.ll_feat_size)
        for name in self.outputs_list:
            output = uncertainty_name(name)
            self.register_buffer(f"covariance_{output}", torch.zeros(square, dtype=dtype))
            self.register_buffer(f"cholesky_{output}", torch.zeros(square, dtype=dtype))
            self.register_buffer(f"multiplier_{output}", torch.ones(self._num_properties(name), dtype=dtype))
        for name in self.propagated:
            self.register_buffer(f"multiplier_{uncertainty_name(name)}", torch.ones(1, dtype=dtype))

    def _make_ensemble_layers(self) -> None:
        self.llpr_ensemble_layers = torch.nn.ModuleDict()
        for name, number in self.ensemble_weight_sizes.items():
            if name == DENSITY_OF_STATES:
                layer: torch.nn.Module = SpectralEnsemble(self.ll_feat_size, number, self._num_properties(name))
            else:
                layer = torch.nn.Linear(self.ll_feat_size, number * self.model.layouts[name].size, bias=False)
            self.llpr_ensemble_layers[name] = layer

    def _own_outputs(self, outputs: Dict[str, ModelOutput]) -> Dict[str, ModelOutput]:
        own: Dict[str, ModelOutput] = {}

        def add(name: str, target: str, description: str, gradients: List[str]) -> None:
            own[name] = ModelOutput(
                unit=outputs[target].unit,
                sample_kind=outputs[target].sample_kind,
                explicit_gradients=gradients,
                description=description,
            )
            if target in self.propagated:
                self.derived_outputs[name] = target
            if gradients:
                self.ensemble_gradient_outputs.append(name)

        for target in (*self.outputs_list, *self.propagated):
            add(uncertainty_name(target), target, f"standard deviation of {target}", [])
        for target in self.ensemble_weight_sizes:
            add(ensemble_name(target), target, f"ensemble of {target}", self._ensemble_explicit_gradients(target))
        for target in self.propagated:
            add(ensemble_name(target), target, f"{target} of each member of {DENSITY_OF_STATES}", [])
        return own

    # metatomic compares the signature with exactly these annotations; it does not accept `list` and `dict`
    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:
        """Predict the outputs of the wrapped model, uncertainties and ensembles, per atom or per structure.

        :raises ValueError: for an output that the model does not have.
        """
        check_outputs_exist(outputs, self.capabilities.outputs, [])
        if self.training and torch.is_grad_enabled() and self.density_of_states_ensemble in outputs:
            raise ValueError(
                "the ensemble of " + self.density_of_states + " cannot be trained, because its errors need an "
                "alignment; leave `num_epochs` out"
            )
        per_atom: Dict[str, ModelOutput] = {}
        per_system: Dict[str, ModelOutput] = {}
        derived: Dict[str, str] = {}
        for name, output in outputs.items():
            if name in self.derived_outputs:
                if output.sample_kind != "system":
                    raise ValueError(name + " is a property of a whole structure, so it cannot be computed per atom")
                derived[name] = self.derived_outputs[name]
            elif output.sample_kind == "atom":
                per_atom[name] = output
            else:
                per_system[name] = output
        needed = per_system.copy()
        for target in derived.values():
            for name in [self.density_of_states, self.density_of_states_ensemble, target]:
                needed[name] = ModelOutput(sample_kind="system")
        results: Dict[str, TensorMap] = {}
        at_once = self._can_be_mixed(per_atom, needed)
        if at_once:
            for name, output in per_atom.items():
                needed[name] = output
        else:
            results = self.linear_forward(systems, per_atom, selected_atoms)
        found = self.linear_forward(systems, needed, selected_atoms)
        for target in self.propagated:
            if target in derived.values():
                self._read_members(target, systems, selected_atoms, found)
        for name, values in found.items():
            if name in outputs and (at_once or name not in per_atom):
                results[name] = values
        return results

    def _can_be_mixed(self, per_atom: Dict[str, ModelOutput], per_system: Dict[str, ModelOutput]) -> bool:
        """Whether one evaluation is enough: an uncertainty and the outputs it is made from must be of the same kind."""
        if len(per_atom) == 0 or len(per_system) == 0:
            return True
        kinds = [per_atom, per_system]
        for i in range(2):
            for name in kinds[i]:
                if name.endswith("_uncertainty") or name.endswith("_ensemble"):
                    target = self._get_original_name(name)
                    features = "mtt::aux::" + target.replace("mtt::", "") + "_last_layer_features"
                    for other in kinds[1 - i]:
                        is_read = other == target and name.endswith("_ensemble")
                        same_target = other.endswith("_uncertainty") or other.endswith("_ensemble")
                        same_target = same_target and self._get_original_name(other) == target
                        if is_read or same_target or other == features:
                            return False
        return True

    def _read_members(
        self,
        target: str,
        systems: List[System],
        selected_atoms: Optional[Labels],
        results: Dict[str, TensorMap],
    ) -> None:
        """Apply a head to every member of the density of states, and add ensemble and standard deviation."""
        block = results[target].block()
        mean = results[self.density_of_states].block().values
        members = results[self.density_of_states_ensemble].block().values
        members = members.reshape(mean.shape[0], -1, mean.shape[1])
        num_atoms = count_selected_atoms(systems, selected_atoms).to(mean)
        rows: List[torch.Tensor] = []
        for i in range(mean.shape[0]):  # one structure at a time: the convolutions need memory for each member
            spectra = torch.cat([mean[i : i + 1], members[i]]) / num_atoms[i].clamp_min(1.0)
            rows.append(self._apply_head(target, spectra).reshape(1, -1))
        # Without atoms there is no spectrum to read from.
        numbers = torch.where(num_atoms.unsqueeze(1) > 0, torch.cat(rows), torch.nan)
        deviations = (numbers[:, 1:] - numbers[:, 1:].mean(dim=1, keepdim=True)) * self._get_multiplier(
            "mtt::aux::" + target.replace("mtt::", "") + "_uncertainty"
        )
        ensemble = numbers[:, :1] + deviations
        if target == self.band_gap:
            # The model sets the gaps of odd numbers of electrons to zero, whatever its head reads.
            has_none = (block.values == 0.0) & (numbers[:, :1] > 0.0)
            ensemble = torch.where(has_none, 0.0, torch.relu(ensemble))
            deviations = torch.where(has_none, 0.0, deviations)
        indices = torch.arange(ensemble.shape[1], dtype=torch.int32, device=ensemble.device).reshape(-1, 1)
        kinds = block.properties.values.to(torch.int32).repeat(ensemble.shape[1], 1)
        names = ["ensemble_member"] + block.properties.names  # noqa: RUF005 (TorchScript)
        properties = Labels(names, torch.cat([indices, kinds], dim=1))
        keys = results[target].keys
        for name, own_target in self.derived_outputs.items():
            if own_target == target and name.endswith("_ensemble"):
                results[name] = TensorMap(keys, [TensorBlock(ensemble, block.samples, [], properties)])
            elif own_target == target:
                spread = deviations.std(dim=1, keepdim=True)
                results[name] = TensorMap(keys, [TensorBlock(spread, block.samples, [], block.properties)])

    def _apply_head(self, target: str, spectra: torch.Tensor) -> torch.Tensor:
        """Band gap (negative for a metal, not cut off) or Fermi level of spectra per atom: (num_spectra, 1)."""
        values = spectra[:, :1]
        for name, head in self.model.spectrum_heads.items():
            if name == target:
                values = head(spectra.detach())
        return values

    def compute_covariance(self, datasets: Datasets, batch_size: int, is_distributed: bool) -> None:
        """Compute the covariance of features of the training samples that have a value, for each target."""
        uncertainty_fit.fit_covariances(self, datasets, batch_size, is_distributed)

    def compute_cholesky_decomposition(self, regularizer: Optional[float] = None) -> None:
        """Factorise the covariances; if no regulariser is given, :meth:`calibrate` finds the best one."""
        self.chooses_regularizer = regularizer is None
        if regularizer is not None:
            for name in self.outputs_list:
                uncertainty_fit.factorise(self, name, regularizer)

    def calibrate(self, datasets: Datasets, batch_size: int, is_distributed: bool, calibration_method: str) -> None:
        """Find the multipliers of all uncertainties, and draw the ensembles, with the validation structures."""
        uncertainty_fit.calibrate(self, datasets, batch_size, is_distributed, calibration_method)

    def generate_ensemble(self) -> None:
        """Do nothing: :meth:`calibrate` has already drawn the ensembles, which band gap and Fermi level need."""

    def export(self, metadata: Optional[ModelMetadata] = None) -> AtomisticModel:
        """Convert the model to a metatomic model for simulation engines."""
        # metatomic adds old names of outputs to the capabilities passed to it, and warns about them the next time.
        outputs = dict(self.capabilities.outputs)
        exported = super().export(metadata)
        self.capabilities = self._capabilities(self.capabilities, outputs)
        return exported
