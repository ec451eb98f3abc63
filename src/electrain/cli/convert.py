"""``electrain convert``: checkpoints of metatrain's ``pet`` and our own -> clean checkpoints and exported models."""

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from .common import fail, files_of, usage
from .outputs import Overwrite, check_outputs


def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="IN",
            help="Checkpoint of metatrain's `pet` (any version), `pet_mad` or `llpr`, or the name of a model, see "
            "`electrain models`.",
        ),
    ],
    target: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="File to write: a `pet_mad` checkpoint (.ckpt) or an exported model (.pt)."),
    ],
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
    overwrite: Overwrite = False,
) -> None:
    """Convert a checkpoint to a `pet_mad` checkpoint or to an exported model, without executing any code in it.

    This is the safe way to use a model from people you do not know: an exported model (.pt) is a program, but a
    checkpoint (.ckpt) is read as data here, and refused if it contains anything else.

    Checkpoints of metatrain's `pet` become `pet_mad` checkpoints with the same predictions. They do not contain the
    energy axis of a density of states (DOS). With 4806 channels it is assumed to be that of the published PET-MAD-DOS,
    otherwise it must be given.

    A model that has a name is copied as it is.

    Example:  electrain convert pet-mad.ckpt model.pt
    """
    if target.suffix not in (".ckpt", ".pt"):
        usage(f"expected a name that ends with .ckpt or .pt for the result, got {target}")
    files = files_of([source])
    check_outputs([target], [*files, band_gap_weights, fermi_level_weights], overwrite=overwrite)
    axis_options = (energy_start, energy_step, max_shift)
    networks = (band_gap_weights, fermi_level_weights)
    if not files:
        if any(option is not None for option in (*axis_options, *networks)):
            usage(f"{source} knows its energy axis and its networks; these options are for checkpoints")
        _copy(source, target)
        _show_use(target)
        return
    from electrain.architectures.base.rebuilding import is_spectral, rebuild_model  # imports torch: takes seconds
    from electrain.architectures.pet_mad.from_pet.convert import AxisOptions
    from electrain.architectures.pet_mad.from_pet.convert import convert as convert_checkpoint
    from electrain.files.checkpoints import read_checkpoint
    from electrain.interface.quantities import BAND_GAP, FERMI_LEVEL
    from electrain.pretrained import locate

    weight_files = {BAND_GAP: band_gap_weights, FERMI_LEVEL: fermi_level_weights}
    try:
        checkpoint = read_checkpoint(locate(source, ".ckpt").path)
        weights = {name: read_checkpoint(path) for name, path in weight_files.items() if path is not None}
    except (ValueError, OSError) as error:
        fail(str(error))
    axis = AxisOptions(*axis_options)
    is_ours = is_spectral(checkpoint)
    if is_ours and (weights or any(option is not None for option in axis)):
        fail(f"{source} knows its energy axis and its networks; these options are for checkpoints of metatrain's `pet`")
    lacks_uncertainties = checkpoint.get("architecture_name") == "llpr" and not is_ours
    try:
        model = rebuild_model(checkpoint) if is_ours else convert_checkpoint(checkpoint, axis, weights)
        _write(model, target)
    except ValueError as error:
        fail(f"{source} cannot be converted: {error}")
    except OSError as error:
        fail(str(error))
    _show(model, target)
    if lacks_uncertainties:
        typer.echo("\nUncertainties were not converted: calibrate them again (`mtt train` with architecture llpr).")
    _show_use(target)


def _copy(name: str, target: Path) -> None:
    from electrain.files.replacing import replacing
    from electrain.pretrained import locate

    try:
        path = locate(name, ".pt" if target.suffix == ".pt" else ".ckpt").path
        with replacing(target) as temporary:
            shutil.copyfile(path, temporary)
    except (ValueError, OSError) as error:
        fail(error)
    typer.echo(f"wrote {target}, a copy of {name}")


def _show_use(target: Path) -> None:
    if target.suffix == ".pt":
        typer.echo(f"\nUse it:   electrain dos STRUCTURE -m {target}")
        return
    typer.echo(f"\nUse it:   mtt export {target} -o {target.with_suffix('.pt')}")
    typer.echo(f"Train it: training.finetune.read_from: {target}  (in options.yaml for `mtt train`)")


def _write(model: Any, target: Path) -> None:
    from electrain.files.checkpoints import write_checkpoint
    from electrain.files.models import save_model

    if target.suffix == ".pt":
        save_model(model.export(), target)
    else:
        write_checkpoint(model.get_checkpoint(), target)


def _show(model: Any, path: Path) -> None:
    from ase.data import chemical_symbols

    typer.echo(f"wrote {path}\n")
    for name, info in model.dataset_info.targets.items():
        what = info.description or ("per atom" if info.sample_kind == "atom" else "per structure")
        typer.echo(f"target          {name} ({info.unit or 'no unit'}), {what}")
    has_uncertainties = hasattr(model, "set_wrapped_model")
    if has_uncertainties:
        typer.echo("uncertainties   calibrated, kept")
    base = model.model if has_uncertainties else model
    if base.axis is not None:
        typer.echo(f"energy axis     {base.axis.grid}")
        typer.echo(f"largest shift   {base.axis.max_shift * base.axis.grid.step:g} eV")
    elements = [chemical_symbols[number] for number in base.atomic_types]
    typer.echo(f"elements        {len(elements)}: {' '.join(elements)}")
    if base.architecture == "pet_mad":
        _show_network(base.hypers)
    parameters = list(base.parameters())
    dtype = str(parameters[0].dtype).removeprefix("torch.")
    typer.echo(f"parameters      {sum(parameter.numel() for parameter in parameters):,} ({dtype})")


def _show_network(hypers: Any) -> None:
    typer.echo(f"cutoff          {hypers['cutoff']:g} A, {_adaptive(hypers)}")
    typer.echo(
        f"network         {hypers['featurizer']}, message-passing layers: {hypers['num_message_passing_layers']}"
        f"{', ZBL repulsion' if hypers['zbl'] else ''}"
        f"{', long-range features' if hypers['long_range']['enable'] else ''}"
    )
    if hypers["system_conditioning"]:
        charge, spin = hypers["max_charge"], hypers["max_spin_multiplicity"]
        typer.echo(f"reads           charge, -{charge} to {charge} e, and spin multiplicity, 1 to {spin}")


def _adaptive(hypers: Any) -> str:
    number = hypers["num_neighbors_adaptive"]
    return "the same for all atoms" if number is None else f"smaller where atoms have more than {number:g} neighbors"
