"""The options file that comes with a data set: ``mtt train options.yaml`` runs as it is."""

from ..quantities import BAND_GAP, DENSITY_OF_STATES, FERMI_LEVEL
from .targets import ENERGY, SpectrumAxis

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
    # but run `electrain prepare` again. Zero is the DFT Fermi level of each structure.
    energy_grid:
      start: {grid.start!r}
      step: {grid.step!r}
      size: {grid.size}
      max_shift: {max_shift} # channels that a prediction may be shifted to fit its target
      smearing: {smearing!r}
      reference: Fermi level
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

_TARGETS = """\
training_set:
  systems:
    read_from: train.zip
    length_unit: angstrom
  targets: &targets
    # Density of states of the whole cell, in states/eV; NaN where too few bands were computed.
    "{dos}":
      type: scalar
      sample_kind: system
      num_subtargets: {grid.size}
      quantity: ""
      unit: ""
      description: "density of states of the whole cell in states/eV"
    # Band gap, 0 for metals; NaN where unknown.
    "{band_gap}":
      type: scalar
      sample_kind: system
      quantity: ""
      unit: eV
      description: "band gap"
    # Where the DFT Fermi level lies on the axis of the density of states.
    "{fermi_level}":
      type: scalar
      sample_kind: system
      quantity: ""
      unit: eV
      description: "Fermi level on the axis of the density of states"
"""

_ENERGY = """\
    # The files hold {content}, too. To learn them as well, remove the "#":
    # {energy}:
    #   quantity: energy
    #   unit: eV
    #   forces: {forces}
    #   stress: false
"""

_OTHER_SET = """\

{part}_set:
  systems:
    read_from: {part}.zip
    length_unit: angstrom
  targets: *targets
"""

NUM_EPOCHS = 200
BATCH_SIZE = 16


def options_yaml(axis: SpectrumAxis, *, with_energy: bool, with_forces: bool, with_test_set: bool) -> str:
    """Return the text of ``options.yaml``.

    :param axis: the energy axis of the data set.
    :param with_energy: whether the files hold energies.
    :param with_forces: whether they hold forces with them.
    :param with_test_set: whether there is a ``test.zip``.
    """
    text = (_HEAD + _TARGETS).format(
        grid=axis.grid,
        smearing=axis.smearing,
        max_shift=axis.max_shift,
        num_epochs=NUM_EPOCHS,
        batch_size=BATCH_SIZE,
        warmup_epochs=NUM_EPOCHS // 10,
        halving_epochs=NUM_EPOCHS // 4,
        dos=DENSITY_OF_STATES,
        band_gap=BAND_GAP,
        fermi_level=FERMI_LEVEL,
    )
    if with_energy:
        content = "energies and forces" if with_forces else "energies"
        text += _ENERGY.format(content=content, energy=ENERGY, forces=str(with_forces).lower())
    text += _OTHER_SET.format(part="validation")
    if with_test_set:
        text += _OTHER_SET.format(part="test")
    return text
