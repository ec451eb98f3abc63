"""The options file that comes with a data set, ready for ``mtt train options.yaml``."""

import json
from collections.abc import Iterator, Sequence
from textwrap import fill

from electrain.interface.quantities import (
    BAND_GAP,
    DENSITY_OF_STATES,
    FERMI_LEVEL,
    QUANTITIES,
    Quantity,
    gradients_of,
)
from electrain.spectra.axis import EnergyAxis

from .recipes import Recipe, recipe_for
from .targets import ELECTRONIC
from .writing import SUFFIXES

INTRODUCTION = """\
# Training options for this data set. In this folder, run:
#
#     mtt train options.yaml
#
# Everything not given here has a default. Further settings of the network go under `model`, those of the training
# under `training`.

"""
_HEAD = """\
architecture:
  name: pet_mad
  model:
    # The energy axis, in eV, on which the model predicts. The files were made for it, so do not change it here;
    # run `electrain prepare` again instead. Zero is the DFT Fermi level of each structure, or the middle of its gap.
    energy_grid:
{energy_grid}{network}  training:
{training}
# metatrain's final evaluation compares densities of states point by point, without aligning them. Use the errors in the
# training log instead.
final_eval: false

"""

_TARGETS = """\
training_set:
  systems:
    read_from: train{suffix}
    length_unit: angstrom
  targets: &targets
"""

_RECIPE = """\
    # These{too} fit {num_train} training structures.
    num_epochs: {recipe.num_epochs}
    batch_size: {recipe.batch_size}
    learning_rate: {recipe.learning_rate}
    warmup_epochs: {recipe.warmup_epochs} # the learning rate increases linearly, ...
    {decrease}
    weight_decay: {recipe.weight_decay}
    checkpoint_interval: {recipe.checkpoint_interval} # epochs
"""

_HALVING = "halving_epochs: {} # ... and is then halved every time this number of epochs has passed"
_COSINE = "learning_rate_schedule: cosine # ... and then decreases to 0 along a cosine"

_FINE_TUNING = """\
    # Start from the model whose energy axis this is. All its other settings of the network are used.
    finetune:
      read_from: {base_model}
      method: full # or lora, which forgets less of what the model has learned
    num_epochs: {num_epochs}
    batch_size: {batch_size}
    learning_rate: 1.0e-4
    warmup_epochs: 5
    halving_epochs: 20
    checkpoint_interval: 5 # epochs
"""
_FINE_TUNING_EPOCHS = 100

_LOSS = """\
    # The loss of a density of states starts at about 20, that of all other targets at 1.
    loss: {{"{dos}": {{weight: 0.05}}}}
"""

# Per electron, so that structures of heavy elements do not outweigh all others.
_LOSS_FOR_FEW = """\
    # The loss of a density of states is per electron, as its error in the log. All losses start at about 1.
    loss:
      "{dos}": {{per: electron}}
"""
_LOSS_OF_NUMBERS = """\
      "{name}": {{type: huber, weight: 0.1}}
"""
_LOSS_OF_ENERGIES = """\
      {name}: {{weight: 0.1{gradients}}}
"""
_LOSS_OF_GRADIENTS = ", {name}: {{type: huber, weight: 0.1}}"

_OTHERS = (
    'Also in the files: {content}; NaN where unknown. {why}To train on them as well, remove the "#", and put this '
    "under `training`, because the loss of a density of states starts at about 20 and that of {first} at 1:"
)
_WEIGHT_OF_DOS = f'    #     loss: {{"{DENSITY_OF_STATES}": {{weight: 0.05}}}}\n'
_OTHERS_FOR_FEW = (
    'Also in the files: {content}; NaN where unknown. {why}To train on them as well, remove the "#", and give each of '
    "them a weight of about 0.1 in the `loss` above."
)
_COMMENT = "    # "
_LINE = 118  # characters

OTHER_SET = """\

{part}_set:
  systems:
    read_from: {source}{suffix}
    length_unit: angstrom
  targets: *targets
"""

NOT_HELD_OUT = """\

# No structure could be held out. These are the training structures again, and their errors say nothing about other
# structures. Add more structures of the same elements.
"""


def options_yaml(
    axis: EnergyAxis,
    contents: Sequence[str],
    *,
    form: str,
    num_train: int,
    with_test_set: bool,
    validates_on_training_set: bool,
    not_learned: str = "",
    base_model: str | None = None,
) -> str:
    """Return the text of ``options.yaml``.

    :param axis: the energy axis of the data set.
    :param contents: names of the quantities in the files in addition to density of states, band gap and Fermi level.
    :param form: format of the files.
    :param num_train: number of structures in the training set.
    :param with_test_set: whether there is a test set.
    :param validates_on_training_set: whether the training set is also used as validation set.
    :param not_learned: why energies in the files are not trained on, a sentence; empty if they are.
    :param base_model: checkpoint with this axis, or name of a model, from which the training starts.
    """
    energies = [name for name in contents if QUANTITIES[name].gradient_of is None and gradients_of(name)]
    learned = [] if not_learned else energies
    others = [name for name in contents if name not in learned and QUANTITIES[name].gradient_of not in learned]
    recipe = recipe_for(num_train)
    text = INTRODUCTION + (_HEAD + _TARGETS).format(
        energy_grid="".join(f"      {line}\n" for line in _energy_grid(axis)),
        network="".join(f"    {line}\n" for line in network_lines(recipe, num_train)) if base_model is None else "",
        training=_training(recipe, num_train, learned, contents, base_model),
        suffix=SUFFIXES[form],
    )
    for name in ELECTRONIC:
        text += "".join(f"    {line}\n" for line in _target(QUANTITIES[name], axis, form))
    for name in learned:
        text += "    # NaN where unknown.\n"
        text += "".join(f"    {line}\n" for line in _other_target(QUANTITIES[name], contents, axis, form))
    if others:
        labels = [QUANTITIES[name].plural_label for name in others]
        content = f"{', '.join(labels[:-1])} and {labels[-1]}" if labels[1:] else labels[0]
        why = f"{not_learned} " if energies and not learned else ""
        about = (_OTHERS_FOR_FEW if recipe.for_few else _OTHERS).format(content=content, why=why, first=labels[0])
        text += fill(about, _LINE, initial_indent=_COMMENT, subsequent_indent=_COMMENT) + "\n"
        text += "" if recipe.for_few else _WEIGHT_OF_DOS
    for name in others:
        if QUANTITIES[name].gradient_of is None:
            text += "".join(f"    # {line}\n" for line in _other_target(QUANTITIES[name], contents, axis, form))
    if validates_on_training_set:
        text += NOT_HELD_OUT
    text += OTHER_SET.format(
        part="validation", source="train" if validates_on_training_set else "validation", suffix=SUFFIXES[form]
    )
    if with_test_set:
        text += OTHER_SET.format(part="test", source="test", suffix=SUFFIXES[form])
    return text


def network_lines(recipe: Recipe, num_train: int) -> Iterator[str]:
    """Return the lines with the options of the network, none for the default."""
    if recipe.network:
        yield f"# A network for few data, here {num_train} training structures; the published one is wider."
        yield from (f"{name}: {json.dumps(value)}" for name, value in recipe.network.items())


def recipe_lines(recipe: Recipe, num_train: int, *, with_network: bool = True) -> str:
    """Return the lines with the options of the training, which follow those of a network unless it has its defaults."""
    decrease = _COSINE if recipe.halving_epochs is None else _HALVING.format(recipe.halving_epochs)
    return _RECIPE.format(num_train=num_train, recipe=recipe, decrease=decrease, too=", too," if with_network else "")


def _training(
    recipe: Recipe, num_train: int, energies: Sequence[str], contents: Sequence[str], base_model: str | None
) -> str:
    if base_model is None:
        text = recipe_lines(recipe, num_train)
    else:
        text = _FINE_TUNING.format(
            base_model=json.dumps(base_model), batch_size=recipe.batch_size, num_epochs=_FINE_TUNING_EPOCHS
        )
    if not recipe.for_few:
        return text + (_LOSS.format(dos=DENSITY_OF_STATES) if energies else "")
    text += _LOSS_FOR_FEW.format(dos=DENSITY_OF_STATES)
    text += "".join(_LOSS_OF_NUMBERS.format(name=name) for name in (BAND_GAP, FERMI_LEVEL))
    for name in energies:
        known = [gradient.name for gradient in gradients_of(name) if gradient.name in contents]
        gradients = "".join(_LOSS_OF_GRADIENTS.format(name=gradient) for gradient in known)
        text += _LOSS_OF_ENERGIES.format(name=name, gradients=gradients)
    return text


def _energy_grid(axis: EnergyAxis) -> Iterator[str]:
    for name, value in axis.to_dict().items():
        if name == "valence_electrons":
            yield "# of each element, from the numbers of electrons in these calculations; not used in training"
        if name == "spin_polarized" and not value:
            yield "# without spins, structures with an odd number of electrons have no gap"
        # JSON is YAML, with the quotes that keep "No" (nobelium) from being read as false.
        text = value if isinstance(value, str) else json.dumps(value)
        comment = " # largest shift of a prediction to match its target, in channels" if name == "max_shift" else ""
        yield f"{name}: {text}{comment}"


def _target(quantity: Quantity, axis: EnergyAxis, form: str) -> Iterator[str]:
    if quantity.comment:
        yield f"# {quantity.comment}"
    yield f'"{quantity.name}":'
    if form == "xyz":
        yield f"  key: {quantity.key}"
    yield f"  type: {{cartesian: {{rank: {len(quantity.shape)}}}}}" if quantity.shape else "  type: scalar"
    yield f"  sample_kind: {quantity.sample_kind}"
    if quantity.is_spectrum:
        yield f"  num_subtargets: {axis.grid.size}"
    yield '  quantity: ""'
    yield f"  unit: {quantity.metatomic_unit}" if quantity.metatomic_unit else '  unit: ""'
    yield f'  description: "{quantity.description or quantity.label}"'


def _other_target(quantity: Quantity, contents: Sequence[str], axis: EnergyAxis, form: str) -> Iterator[str]:
    """Lines of an energy with its gradients, or of any other quantity."""
    gradients = gradients_of(quantity.name)
    if not gradients:
        yield from _target(quantity, axis, form)
        return
    yield from (f"{quantity.name}:", "  quantity: energy", f"  unit: {quantity.unit}")
    for gradient in gradients:
        # the name that metatrain's writer of memory-mapped files gives them
        is_there = f"{{key: {quantity.name}_{gradient.name}}}" if form == "memmap" else "true"
        yield f"  {gradient.name}: {is_there if gradient.name in contents else 'false'}"
