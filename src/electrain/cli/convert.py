"""``electrain convert``: convert checkpoints of metatrain's ``pet`` to ``pet_mad``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import fail

if TYPE_CHECKING:
    from electrain.architectures.pet_mad.model import PETMAD


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="IN.ckpt", help="Checkpoint of metatrain's `pet` (any version) or `llpr`.")
    ],
    target: Annotated[Path, typer.Argument(metavar="OUT.ckpt", help="`pet_mad` checkpoint to write.")],
    energy_start: Annotated[
        float | None,
        typer.Option(metavar="EV", help="Energy of the first channel of the density of states, in eV."),
    ] = None,
    energy_step: Annotated[float | None, typer.Option(metavar="EV", help="Spacing of its channels, in eV.")] = None,
    max_shift: Annotated[
        float | None,
        typer.Option(
            metavar="EV",
            help="How far fine-tuning may shift a prediction to match its target, in eV; default: 10 for PET-MAD-DOS, "
            "otherwise 0.",
        ),
    ] = None,
    band_gap_weights: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="State dictionary of a network that reads the band gap from the DOS."),
    ] = None,
    fermi_level_weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The same for the Fermi level, given in eV above the first channel.",
        ),
    ] = None,
) -> None:
    """Convert a checkpoint of metatrain's `pet` to a `pet_mad` checkpoint with the same predictions.

    Use the result with `mtt export` (and then `electrain dos`) or for fine-tuning with `mtt train`.

    The checkpoint does not contain the energy axis of a density of states (DOS). With 4806 channels it is assumed to be
    that of the published PET-MAD-DOS, otherwise it must be given. No code in the files is executed: a file that
    contains more than data is refused.

    Example:  electrain convert pet-mad.ckpt model.ckpt && mtt export model.ckpt -o model.pt
    """
    if target.exists() and source.exists() and target.samefile(source):
        fail(f"{target} is the checkpoint to convert; choose another name for the result")
    if target.suffix != ".ckpt":
        fail(f"expected a name that ends with .ckpt for the result, got {target}")
    import torch  # takes seconds

    from electrain.architectures.pet_mad.from_pet.convert import AxisOptions
    from electrain.architectures.pet_mad.from_pet.convert import convert as convert_checkpoint
    from electrain.files.checkpoints import read_checkpoint
    from electrain.files.replacing import replacing
    from electrain.interface.quantities import BAND_GAP, FERMI_LEVEL

    files = {BAND_GAP: band_gap_weights, FERMI_LEVEL: fermi_level_weights}
    try:
        checkpoint = read_checkpoint(source)
        had_uncertainties = checkpoint.get("architecture_name") == "llpr"
        weights = {name: read_checkpoint(path) for name, path in files.items() if path is not None}
    except (ValueError, OSError) as error:
        fail(str(error))
    try:
        model = convert_checkpoint(checkpoint, AxisOptions(energy_start, energy_step, max_shift), weights)
    except ValueError as error:
        fail(f"{source} cannot be converted: {error}")
    try:
        with replacing(target) as partial:
            torch.save(model.get_checkpoint(), partial)
    except OSError as error:
        fail(str(error))
    _show(model, target)
    if had_uncertainties:
        typer.echo("\nUncertainties were not converted: calibrate them again (`mtt train` with architecture llpr).")
    typer.echo(f"\nUse it:   mtt export {target} -o {target.with_suffix('.pt')}")
    typer.echo(f"Train it: training.finetune.read_from: {target}  (in options.yaml for `mtt train`)")


def _show(model: "PETMAD", path: Path) -> None:
    from ase.data import chemical_symbols

    hypers: Any = model.hypers
    parameters = list(model.parameters())
    typer.echo(f"wrote {path}\n")
    for name, info in model.dataset_info.targets.items():
        what = info.description or ("per atom" if info.sample_kind == "atom" else "per structure")
        typer.echo(f"target          {name} ({info.unit or 'no unit'}), {what}")
    if model.axis is not None:
        typer.echo(f"energy axis     {model.axis.grid}")
        typer.echo(f"largest shift   {model.axis.max_shift * model.axis.grid.step:g} eV")
    elements = [chemical_symbols[number] for number in model.atomic_types]
    typer.echo(f"elements        {len(elements)}: {' '.join(elements)}")
    typer.echo(f"cutoff          {hypers['cutoff']:g} A, {_adaptive(hypers)}")
    typer.echo(
        f"network         {hypers['featurizer']}, message-passing layers: {hypers['num_message_passing_layers']}"
        f"{', ZBL repulsion' if hypers['zbl'] else ''}"
        f"{', long-range features' if hypers['long_range']['enable'] else ''}"
    )
    if hypers["system_conditioning"]:
        charge, spin = hypers["max_charge"], hypers["max_spin_multiplicity"]
        typer.echo(f"reads           charge, -{charge} to {charge} e, and spin multiplicity, 1 to {spin}")
    dtype = str(parameters[0].dtype).removeprefix("torch.")
    typer.echo(f"parameters      {sum(parameter.numel() for parameter in parameters):,} ({dtype})")


def _adaptive(hypers: Any) -> str:
    number = hypers["num_neighbors_adaptive"]
    return "the same for all atoms" if number is None else f"smaller where atoms have more than {number:g} neighbors"
