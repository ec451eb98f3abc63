"""Exported models whose energy includes the free energy of hot electrons, for any engine, with forces and stress."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

import torch
from ase.data import atomic_numbers, chemical_symbols
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import AtomisticModel, ModelCapabilities, ModelMetadata, ModelOutput, NeighborListOptions, System

from electrain.files.models import (
    ModelFileError,
    check_outputs,
    energy_axis_of,
    predicted_outputs,
    valence_electrons_of,
)
from electrain.interface.quantities import DENSITY_OF_STATES, base_quantity
from electrain.interface.states import read_states
from electrain.spectra.axis import EnergyAxis
from electrain.spectra.electronic_free_energy import FermiLevels, HotElectrons, check_reach, check_temperature
from electrain.spectra.grid import EnergyGrid

from .opening import open_model

TEMPERATURE_KEY = "electronic_temperature_K"


def with_hot_electrons(
    model: str | Path | AtomisticModel,
    temperature: float,
    valence_electrons: Mapping[str, float] | None = None,
    *,
    extensions_directory: str | Path | None = None,
) -> AtomisticModel:
    r"""Make a model from an exported one whose electrons have their own temperature.

    >>> hot = with_hot_electrons("model.pt", 10_000.0)
    >>> hot.save("hot.pt")
    >>> atoms.calc = ElectronicStructureCalculator(hot)  # or any engine with hot.pt

    Its ``energy`` is the free energy :math:`E + F_\mathrm{el}(T) - E_\mathrm{el}(0)`, where the difference is computed
    from the predicted density of states at a fixed number of electrons
    (:class:`~electrain.spectra.electronic_free_energy.HotElectrons`); forces and stress are its derivatives, as for any
    model. The bands are rigid: the density of states is that of cold electrons. Its integral must reach the number of
    electrons at the right energy, and near a gap small errors matter, so use this for metals, or at temperatures at
    which electrons cross the gap anyway.

    Outputs that are inconsistent with this energy (direct forces and stresses, uncertainties and ensembles of the
    energy) are left out. The chemical potential is that of a whole structure, so an engine must not split a structure
    (the interaction range is infinite); with selected atoms, it is that of these atoms alone. For models that read
    charges, the charge of a structure is shared equally by all its atoms. Only first derivatives are right; second
    derivatives lack the response of the chemical potential.

    :param model: exported model that predicts the energy and the density of states: a ``.pt`` file, a name
        (:func:`electrain.pretrained.known_models`), or a loaded model.
    :param temperature: electronic temperature in K.
    :param valence_electrons: number of valence electrons of each element in the training data, by chemical symbol;
        default: the values stored in the model.
    :param extensions_directory: see :func:`electrain.files.models.load_model`.
    :raises ModelFileError: for a file that is not such a model, or a model without stored valence electrons if none are
        given.
    :raises ValueError: for a temperature that is not positive or too high for the model's axis, which must extend
        10 kB T above the Fermi level, or for valence electrons that are missing or not positive. A structure for which
        the axis is too short after all is refused by the model.
    """
    check_temperature(temperature)
    opened = open_model(model, extensions_directory)
    name, loaded = opened.label, opened.model
    capabilities = loaded.capabilities()
    energies = _checked_energies(capabilities, name)
    extra = dict(loaded.metadata().extra)
    if TEMPERATURE_KEY in extra:
        raise ModelFileError(f"{name} already has electrons at {extra[TEMPERATURE_KEY]} K; start from the cold model")
    counts = valence_electrons_of(loaded) if valence_electrons is None else dict(valence_electrons)
    if not counts:
        raise ModelFileError(
            f"{name} does not store the number of valence electrons of its elements; pass them "
            '(--valence-electrons "Si=4 O=6"), or train it with a version of electrain that stores them'
        )
    check_valence_electrons(counts)
    table = _electrons_by_number(counts, capabilities.atomic_types)
    axis = _axis_of(loaded, name)
    # On the model's own axis, Fermi levels lie between minus the largest shift and zero.
    check_reach(temperature, axis.grid.stop + axis.max_shift * axis.grid.step)
    module = HotElectronModel(loaded, energies, axis.grid, temperature, table)
    metadata = ModelMetadata(
        name=loaded.metadata().name,
        description=f"{loaded.metadata().description}\n\nThe energy is a free energy, with electrons at "
        f"{temperature:g} K in the predicted density of states.".strip(),
        authors=loaded.metadata().authors,
        references=loaded.metadata().references,
        extra={**extra, TEMPERATURE_KEY: f"{temperature:g}"},
    )
    return AtomisticModel(module.eval(), metadata, _capabilities(capabilities, energies))


class BatchedAtoms(NamedTuple):
    """All atoms of a batch, one structure after the other."""

    systems: torch.Tensor  # structure of each atom
    starts: torch.Tensor  # first atom of each structure
    electrons: torch.Tensor  # valence electrons of each atom, minus its share of the charge | float64
    counted: torch.Tensor  # which atoms were requested | bool


class HotElectronModel(torch.nn.Module):
    """Adds the free energy of hot electrons to the energies of a metatomic model; see :func:`with_hot_electrons`.

    :param model: the exported model.
    :param energies: names of its energies.
    :param grid: energies of its density of states.
    :param temperature: electronic temperature in K.
    :param valence_electrons: number of valence electrons by atomic number, 0 for elements that the model lacks.
    """

    # TorchScript: the types of lists are read from the class
    energies: List[str]
    valence_electrons: List[float]
    neighbor_lists: List[NeighborListOptions]
    inputs: Dict[str, ModelOutput]

    def __init__(
        self,
        model: AtomisticModel,
        energies: List[str],
        grid: EnergyGrid,
        temperature: float,
        valence_electrons: List[float],
    ) -> None:
        super().__init__()
        self.model = model.module
        self.electrons = HotElectrons(grid, temperature)
        self.energies = energies
        self.valence_electrons = valence_electrons
        self.neighbor_lists = model.requested_neighbor_lists()
        self.inputs = model.requested_inputs(use_new_names=True)
        self.reads_charge: bool = "charge" in self.inputs
        # TorchScript: constants of modules cannot be read inside `forward`
        self.density_of_states: str = DENSITY_OF_STATES

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:
        """Return the neighbor lists that the model requests."""
        return self.neighbor_lists

    def requested_inputs(self) -> Dict[str, ModelOutput]:
        """Return the inputs that the model requests."""
        return self.inputs

    # metatomic compares the signature with exactly these annotations; it does not accept `list` and `dict`
    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:
        """Predict the outputs of the model, with hot electrons in the energies."""
        if not self._has_energy(outputs):
            return self.model(systems, outputs, selected_atoms)
        requested: Dict[str, ModelOutput] = {}
        for name, output in outputs.items():
            requested[name] = output
        per_atom = False
        for name in self.energies:
            per_atom = per_atom or (name in outputs and outputs[name].sample_kind == "atom")
        # The shares of the atoms sum to the structure, so one evaluation serves both kinds of outputs.
        needed = ModelOutput(sample_kind="atom" if per_atom else "system")
        given = self.density_of_states in outputs
        together = not given or outputs[self.density_of_states].sample_kind == needed.sample_kind
        if together:
            requested[self.density_of_states] = needed
        results: Dict[str, TensorMap] = self.model(systems, requested, selected_atoms)
        if together:
            spectra = results[self.density_of_states].block()
        else:
            alone: Dict[str, TensorMap] = self.model(systems, {self.density_of_states: needed}, selected_atoms)
            spectra = alone[self.density_of_states].block()
        atoms = self._atoms(systems, spectra.values.device, selected_atoms)
        free_energies = self._free_energies(spectra, atoms, len(systems))
        corrected: Dict[str, TensorMap] = {}
        for name in outputs:
            corrected[name] = results[name]
            if name in self.energies:
                corrected[name] = self._added(results[name], spectra.samples, free_energies)
        return corrected

    def _has_energy(self, outputs: Dict[str, ModelOutput]) -> bool:
        found = False
        for name in self.energies:
            found = found or name in outputs
        return found

    def _atoms(self, systems: List[System], device: torch.device, selected_atoms: Optional[Labels]) -> BatchedAtoms:
        table = torch.tensor(self.valence_electrons, dtype=torch.float64, device=device)
        types = torch.cat([system.types for system in systems]).to(device=device, dtype=torch.int64)
        sizes = torch.tensor([len(system) for system in systems], device=device)
        numbers = torch.arange(len(sizes), device=device)
        starts = sizes.cumsum(0) - sizes
        counted = torch.ones(len(types), dtype=torch.bool, device=device)
        if selected_atoms is not None:
            pairs = selected_atoms.values.to(device=device, dtype=torch.int64)
            pairs = pairs[(pairs[:, 0] >= 0) & (pairs[:, 0] < len(systems)) & (pairs[:, 1] >= 0)]
            pairs = pairs[pairs[:, 1] < sizes[pairs[:, 0]]]
            counted[:] = False
            counted[starts[pairs[:, 0]] + pairs[:, 1]] = True
        systems_of_atoms = numbers.repeat_interleave(sizes)
        electrons = table[types]
        if self.reads_charge:
            charges = read_states(systems)[:, 0].to(device)
            electrons = electrons - (charges / sizes.to(torch.float64))[systems_of_atoms]
        return BatchedAtoms(systems_of_atoms, starts, electrons, counted)

    def _free_energies(self, spectra: TensorBlock, atoms: BatchedAtoms, num_systems: int) -> torch.Tensor:
        """Free energy of each sample of the spectra, in eV: of a structure, or the share of an atom."""
        device = spectra.values.device
        values = spectra.values.to(torch.float64)
        system_of_row = spectra.samples.column("system").to(device=device, dtype=torch.int64)
        electrons = torch.zeros(num_systems, dtype=torch.float64, device=device)
        electrons = electrons.index_add(0, atoms.systems[atoms.counted], atoms.electrons[atoms.counted])
        totals = torch.zeros(num_systems, values.shape[1], dtype=torch.float64, device=device)
        totals = totals.index_add(0, system_of_row, values)
        # Negative values of a structure count as zero, and so do the shares of its atoms in them.
        shares = torch.where(totals[system_of_row] > 0, values, 0.0)
        if "atom" in spectra.samples.names:
            number = spectra.samples.column("atom").to(device=device, dtype=torch.int64)
            electrons_of_row = atoms.electrons[atoms.starts[system_of_row] + number]
        else:
            electrons_of_row = electrons[system_of_row]
        # Without requested atoms, or without electrons, there is no chemical potential and nothing to add.
        present = electrons.abs() > 1e-9  # not exactly zero, because charges are divided by the number of atoms
        if not bool(present.any()):
            return torch.zeros(len(values), dtype=torch.float64, device=device)
        levels = self.electrons.levels(torch.relu(totals[present]), electrons[present])
        rows = torch.nonzero(present[system_of_row]).squeeze(1)
        level_of_row = (torch.cumsum(present.long(), dim=0) - 1)[system_of_row[rows]]
        computed = self.electrons.at_levels(
            shares[rows], electrons_of_row[rows], FermiLevels(levels.cold[level_of_row], levels.hot[level_of_row])
        )
        return torch.zeros(len(values), dtype=torch.float64, device=device).index_put([rows], computed)

    def _added(self, energy: TensorMap, samples: Labels, free_energies: torch.Tensor) -> TensorMap:
        """Add the free energies to the energy, per atom or summed over the atoms."""
        block = energy.block()
        values = block.values
        device = values.device
        if block.samples.names == samples.names:
            if block.samples != samples:
                raise ValueError("the energy and the density of states of the model have different samples")
            added = free_energies
        else:
            rows = block.samples.column("system").to(device=device, dtype=torch.int64)
            of_row = samples.column("system").to(device=device, dtype=torch.int64)
            count = int(torch.cat([rows, of_row]).max()) + 1
            sums = torch.zeros(count, dtype=torch.float64, device=device).index_add(0, of_row, free_energies)
            added = sums[rows]
        total = values.to(torch.float64) + added.unsqueeze(1)
        new = TensorBlock(total.to(values.dtype), block.samples, block.components, block.properties)
        return TensorMap(energy.keys, [new])


def _checked_energies(capabilities: ModelCapabilities, name: str) -> List[str]:
    check_outputs(capabilities, name)
    energies = [output for output in capabilities.outputs if base_quantity(output) == "energy"]
    if not energies:
        found = ", ".join(predicted_outputs(capabilities))
        raise ModelFileError(f"{name} predicts no energy to add the electronic free energy to, but {found}")
    units = {capabilities.outputs[output].unit for output in energies}
    if units != {"eV"}:
        raise ModelFileError(f"expected energies in eV, but {name} predicts them in {', '.join(sorted(units))}")
    return energies


def check_valence_electrons(counts: Mapping[str, float]) -> None:
    """Raise a ``ValueError`` for numbers of valence electrons, by chemical symbol, that no model can have."""
    unknown = sorted(symbol for symbol in counts if symbol not in atomic_numbers)
    if unknown:
        raise ValueError(f"expected chemical symbols with their valence electrons, got {', '.join(unknown)}")
    for symbol, electrons in counts.items():
        if not (math.isfinite(electrons) and electrons > 0):
            raise ValueError(f"expected a positive number of valence electrons, got {symbol}={electrons:g}")


def _electrons_by_number(counts: Mapping[str, float], atomic_types: List[int]) -> List[float]:
    table = [0.0] * (max(atomic_types) + 1)
    missing = []
    for number in atomic_types:
        if chemical_symbols[number] in counts:
            table[number] = float(counts[chemical_symbols[number]])
        else:
            missing.append(chemical_symbols[number])
    if missing:
        raise ValueError(f"the number of valence electrons of {', '.join(missing)} is not known")
    return table


def _axis_of(model: AtomisticModel, name: str) -> EnergyAxis:
    axis = energy_axis_of(model)
    if axis is None:
        raise ModelFileError(f"{name} has no energy axis in its metadata; expected a model made by electrain")
    return axis


def _capabilities(cold: ModelCapabilities, energies: List[str]) -> ModelCapabilities:
    """Outputs that are consistent with the energy with hot electrons, and an infinite interaction range."""
    outputs = {}
    for name, output in cold.outputs.items():
        is_feature = name == "feature" or name.endswith("_last_layer_features")
        if name in energies or is_feature or (name.startswith("mtt::") and "energy" not in name):
            outputs[name] = ModelOutput(
                unit=output.unit,
                sample_kind=output.sample_kind,
                explicit_gradients=list(output.explicit_gradients),
                description=f"{output.description or 'energy'}, with hot electrons"
                if name in energies
                else output.description,
            )
    return ModelCapabilities(
        outputs=outputs,
        atomic_types=cold.atomic_types,
        interaction_range=math.inf,
        length_unit=cold.length_unit,
        supported_devices=cold.supported_devices,
        dtype=cold.dtype,
    )
