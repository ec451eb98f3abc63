"""The options file that comes with a data set: ``mtt train options.yaml`` runs as it is."""

import json
from collections.abc import Mapping

from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES, ENERGY, FERMI_LEVEL
from electrain.spectra.axis import EnergyAxis

from .writing import BAND_GAP_KEY, DOS_KEY, FERMI_LEVEL_KEY, SUFFIXES, Contents

_HEAD = """\
# Training options for this data set. Inside of this folder, run:
#
#     mtt train options.yaml
#
# Everything not given here has a default; more settings of the network go under `model`, more of the training
# under `training`.

architecture:
  name: pet_mad
  model:
    # The energy axis, in eV, on which the model predicts. The files were made for it: do not change it here,
    # but run `electrain prepare` again. Zero is the DFT Fermi level of each structure, the middle of a gap.
    energy_grid:
      start: {grid.start!r}
      step: {grid.step!r}
      size: {grid.size}
      max_shift: {max_shift} # channels that a prediction may be shifted to fit its target
      smearing: {smearing!r}
      reference: Fermi level
{valence}    # band_gap_from: atoms # instead of from the density of states: worth a try with few structures
  training:
    num_epochs: {num_epochs}
    batch_size: {batch_size}
    learning_rate: 1.0e-4 # with a few hundred structures rather 1e-3, batches of 4 and a narrower network
    warmup_epochs: {warmup_epochs} # the learning rate grows linearly, ...
    halving_epochs: {halving_epochs} # ... then it is halved every so many epochs

# metatrain's final evaluation compares densities of states point by point, without aligning them: the errors in
# the training log are the ones to look at.
final_eval: false

"""

_VALENCE = """\
      # of each element, from the numbers of electrons of these calculations; does not enter the training
      valence_electrons: {counts}
"""

_TARGETS = """\
training_set:
  systems:
    read_from: train{suffix}
    length_unit: angstrom
  targets: &targets
    # Density of states of the whole cell, in states/eV; NaN where too few bands were computed.
    "{dos}":{dos_key}
      type: scalar
      sample_kind: system
      num_subtargets: {grid.size}
      quantity: ""
      unit: ""
      description: "density of states of the whole cell in states/eV"
    # Band gap, 0 for metals; NaN where unknown.
    "{band_gap}":{band_gap_key}
      type: scalar
      sample_kind: system
      quantity: ""
      unit: eV
      description: "band gap"
    # Where the DFT Fermi level lies on the axis of the density of states.
    "{fermi_level}":{fermi_level_key}
      type: scalar
      sample_kind: system
      quantity: ""
      unit: eV
      description: "Fermi level on the axis of the density of states"
"""

_ENERGY = """\
    # The files hold {content}, too; NaN where unknown. To learn them as well, remove the "#", and put
    #     loss: {{"{dos}": {{weight: 0.05}}}}
    # under `training`: the loss of a density of states begins with about 20, that of energies with 1.
    # {energy}:
    #   quantity: energy
    #   unit: eV
    #   forces: {forces}
    #   stress: {stress}
"""

_OTHER_SET = """\

{part}_set:
  systems:
    read_from: {source}{suffix}
    length_unit: angstrom
  targets: *targets
"""

_NOT_HELD_OUT = """\

# No structure could be held out: these are the training structures again, and errors on them say nothing about
# others. Add more structures of the same elements.
"""

NUM_EPOCHS = 200
BATCH_SIZE = 16


def options_yaml(
    axis: EnergyAxis,
    contents: Contents,
    *,
    form: str,
    num_train: int,
    with_test_set: bool,
    validates_on_training_set: bool,
    valence_electrons: Mapping[str, float],
) -> str:
    """Return the text of ``options.yaml``.

    :param axis: the energy axis of the data set.
    :param contents: what the files hold beside density of states, band gap and Fermi level.
    :param form: format of the files.
    :param num_train: structures in the training set.
    :param with_test_set: whether there is a test set.
    :param validates_on_training_set: whether the training set is the validation set, too.
    :param valence_electrons: of each element, by chemical symbol; empty if unknown.
    """
    keys = {"dos_key": DOS_KEY, "band_gap_key": BAND_GAP_KEY, "fermi_level_key": FERMI_LEVEL_KEY}
    text = (_HEAD + _TARGETS).format(
        grid=axis.grid,
        smearing=axis.smearing,
        max_shift=axis.max_shift,
        # JSON is YAML, with the quotes that "No" needs not to be a false.
        valence=_VALENCE.format(counts=json.dumps(dict(valence_electrons))) if valence_electrons else "",
        num_epochs=NUM_EPOCHS,
        batch_size=min(BATCH_SIZE, num_train),  # metatrain takes no more
        warmup_epochs=NUM_EPOCHS // 10,
        halving_epochs=NUM_EPOCHS // 4,
        dos=DENSITY_OF_STATES,
        band_gap=BAND_GAP,
        fermi_level=FERMI_LEVEL,
        suffix=SUFFIXES[form],
        **{name: f"\n      key: {key}" if form == "xyz" else "" for name, key in keys.items()},
    )
    if contents.energy:
        names = ["energies"] + ["forces"] * contents.forces + ["stresses"] * contents.stress
        text += _ENERGY.format(
            content=" and ".join([", ".join(names[:-1])] * (len(names) > 1) + names[-1:]),
            dos=DENSITY_OF_STATES,
            energy=ENERGY,
            forces=_gradient("forces", is_there=contents.forces, form=form),
            stress=_gradient("stress", is_there=contents.stress, form=form),
        )
    if validates_on_training_set:
        text += _NOT_HELD_OUT
    text += _OTHER_SET.format(
        part="validation", source="train" if validates_on_training_set else "validation", suffix=SUFFIXES[form]
    )
    if with_test_set:
        text += _OTHER_SET.format(part="test", source="test", suffix=SUFFIXES[form])
    return text


def _gradient(name: str, *, is_there: bool, form: str) -> str:
    if not is_there:
        return "false"
    # metatrain's writer of memory-mapped files names them so
    return f"{{key: {ENERGY}_{name}}}" if form == "memmap" else "true"
