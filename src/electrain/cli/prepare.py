"""``electrain prepare``: turn DFT calculations into a data set for training."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .common import preparing, show_rejected, usage
from .prepare_choices import Format, Layout, MissingBands, Normalize, Spectra, Unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from electrain.data import PreparedDataset
    from electrain.data.table import Row

_FEW_HELD_OUT = 0.7  # of what was requested
_OF_SPECTRA = {"unit", "source_unit", "columns", "normalize"}
_OF_BANDS = {"num_bands", "num_k_points"}
_OF_CALCULATIONS = {"smearing", "max_shift", "dos_grid", "layout", "like", "missing_bands", "workers", "dask"}
# Of both calculations and spectra
_OF_AXES = {"grid", "step"}


def prepare(
    context: typer.Context,
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...",
            exists=True,
            help="DFT output files, or folders to search for them; with --spectra tables (CSV, JSON) of structures and "
            "spectra, phonopy's total_dos.dat, or pymatgen's phonon densities of states; with --bands also JSON of "
            "pymatgen and ASE.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", file_okay=False, help="Folder to write to.")],
    smearing: Annotated[
        float | None,
        typer.Option(
            "--smearing",
            "--sigma",
            help="Standard deviation of the Gaussian broadening, in eV.",
            show_default="0.3",
        ),
    ] = None,
    step: Annotated[
        float | None,
        typer.Option(help="Spacing of the energy grid, in eV (with --spectra in --unit).", show_default="0.05"),
    ] = None,
    grid: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LOW HIGH",
            help="Energy range of the targets, in eV relative to the Fermi level (with --spectra in --unit); default: "
            "from the data.",
        ),
    ] = None,
    max_shift: Annotated[
        float | None,
        typer.Option(help="How far a prediction may be shifted to match its target, in eV.", show_default="10"),
    ] = None,
    dos_grid: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="START STEP",
            help="First energy (relative to the Fermi level) and step, in eV, of densities of states in extended XYZ "
            "files; --smearing is then theirs.",
        ),
    ] = None,
    layout: Annotated[
        Layout | None,
        typer.Option(help="Layout of published data: mad for those of PET-MAD-DOS. Replaces the options above."),
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Use the energy axis and smearing of this model, to fine-tune it: a file (.pt or .ckpt), or the name "
            "of a model, see `electrain models`.",
        ),
    ] = None,
    spectra: Annotated[
        Spectra | None,
        typer.Option(help="Read spectra on a fixed axis instead of calculations; see the second example."),
    ] = None,
    source_unit: Annotated[
        Unit | None,
        typer.Option(
            help="With --spectra: unit of the axis in the files, which tables need.",
            show_default="THz for phonopy and pymatgen",
        ),
    ] = None,
    unit: Annotated[
        Unit | None,
        typer.Option(help="With --spectra: unit of the axis of the data set.", show_default="that of the files"),
    ] = None,
    columns: Annotated[
        tuple[str, str, str] | None,
        typer.Option(
            metavar="STRUCTURE AXIS SPECTRUM",
            help="With --spectra: columns of a table; default: known names, such as structure, phfreq and phdos.",
        ),
    ] = None,
    normalize: Annotated[
        Normalize | None,
        typer.Option(
            help="With --spectra: divide each by its maximum, or smooth it first (Savitzky-Golay filter of 17 "
            "channels, order 1, cut off at zero). Default: states per unit in the whole structure, as in the files.",
        ),
    ] = None,
    bands: Annotated[
        bool, typer.Option("--bands", help="Read bands along paths of k-points instead of densities of states.")
    ] = False,
    num_bands: Annotated[
        int | None,
        typer.Option(
            help="With --bands: number of bands, half of them up to the highest one that is filled anywhere.",
            show_default="6",
        ),
    ] = None,
    num_k_points: Annotated[
        int | None, typer.Option(help="With --bands: number of k-points along the path.", show_default="256")
    ] = None,
    missing_bands: Annotated[
        MissingBands | None,
        typer.Option(
            help="Drop or keep structures with too few bands to reach the Fermi level.",
            show_default="drop; with --layout: keep",
        ),
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            help="Shares of training:validation:test set, or `given` to use the key split of each frame. `species` or "
            "`crystal-system` test on other kinds of crystals than those of the training set: species=2,3 (default) "
            "trains on two and three elements, crystal-system=cubic,hexagonal on these. With --spectra or --bands "
            "also three files, such as train.txt:validation.txt:test.txt, with the number of a row or structure (from "
            "0) in each line."
        ),
    ] = "8:1:1",
    seed: Annotated[int, typer.Option(help="Seed of the split.")] = 0,
    form: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="Default: xyz up to 1,000 structures, zip up to 100,000, memmap (single precision) beyond.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes on this machine; more than 1 requires Dask.")] = 1,
    dask: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Dask scheduler to use instead; its workers must see the same files."),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace a data set in the folder, including its options.yaml, but no other files."
        ),
    ] = False,
) -> None:
    """Turn DFT calculations into a data set with densities of states, band gaps and Fermi levels.

    Writes the training, validation and test sets, options.yaml (for `mtt train options.yaml`), summary.png,
    manifest.json and tables; report.csv lists what was left out and why.

    If the command is interrupted, run it again to continue.

    Example:  electrain prepare calculations/ -o data

    Example:  electrain prepare band_structures/ -o data --bands

    Example:  electrain prepare phonons.csv -o data --spectra phonon --source-unit cm^-1 --normalize maximum
    """
    _check_pairs(context, split=split, dask=dask)
    if spectra is not None:
        from .prepare_spectra import prepare_and_show

        prepare_and_show(
            sources,
            output,
            kind=spectra.value,
            unit=None if unit is None else unit.value,
            source_unit=None if source_unit is None else source_unit.value,
            columns=columns,
            normalize=None if normalize is None else normalize.value,
            grid=grid,
            step=step,
            split=_index_files(split) or _split(split),
            seed=seed,
            form=None if form is None else form.value,
            overwrite=overwrite,
        )
        return
    if bands:
        from .prepare_bands import prepare_and_show as prepare_bands_and_show

        prepare_bands_and_show(
            sources,
            output,
            **{} if num_bands is None else {"num_bands": num_bands},
            **{} if num_k_points is None else {"num_k_points": num_k_points},
            split=_index_files(split) or _split(split),
            seed=seed,
            form=None if form is None else form.value,
            overwrite=overwrite,
        )
        return
    from electrain.data import prepare_dataset  # imports torch, which takes seconds

    with preparing():
        prepared = prepare_dataset(
            sources,
            output,
            smearing=smearing,
            step=step,
            grid=grid,
            max_shift=max_shift,
            dos_grid=dos_grid,
            layout=None if layout is None else layout.value,
            like=like,
            missing_bands=None if missing_bands is None else missing_bands.value,
            split=_split(split),
            seed=seed,
            form=None if form is None else form.value,
            workers=workers,
            scheduler=dask,
            overwrite=overwrite,
            progress=True,
        )
    _show_summary(prepared, _split(split))


def _check_pairs(context: typer.Context, *, split: str, dask: str | None) -> None:
    """Refuse options that would do nothing beside another one."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    given = {name for name, source in sources.items() if source is not None and source.name != "DEFAULT"}
    kind = "--bands" if "bands" in given else "--spectra" if "spectra" in given else "calculations"
    if {"bands", "spectra"} <= given:
        usage("--bands and --spectra make different data sets: give one of them")
    for what, options in (
        ("calculations", _OF_CALCULATIONS),
        ("--spectra", _OF_SPECTRA),
        ("--bands", _OF_BANDS),
        ("calculations and --spectra", _OF_AXES if kind == "--bands" else set()),
    ):
        for name in sorted(options & given if what != kind else ()):
            option = "--" + name.replace("_", "-")
            usage(f"{option} is an option of {what}{'' if kind == 'calculations' else f', not of {kind}'}")
    if "seed" in given and (split == "given" or _index_files(split)):
        usage("--seed is the seed of a random split, but --split is given")
    if kind == "calculations" and _index_files(split):
        usage(f"expected shares such as 8:1:1, or 'given', for --split without --spectra or --bands, got {split!r}")
    if "workers" in given and dask is not None:
        usage("--workers are processes on this machine, but --dask names a scheduler with workers of its own")


def _index_files(text: str) -> list[str] | None:
    """Three files; ``None`` for anything else."""
    names = text.split(":")
    return names if len(names) == 3 and any(Path(name).is_file() for name in names) else None


def _split(text: str) -> tuple[float, float, float] | str | None:
    """Shares, the text of a split by kinds of crystals, or ``None`` for a given one."""
    if text == "given":
        return None
    # those of `electrain.data.kind_splits`, whose import takes seconds
    if text.partition("=")[0] in ("species", "crystal-system"):
        return text
    try:
        train, validation, test = (float(share) for share in text.split(":"))
    except ValueError:
        raise typer.BadParameter(
            f"expected three numbers such as 8:1:1, 'given', 'species' or 'crystal-system', got {text!r}",
            param_hint="--split",
        ) from None
    return train, validation, test


def _show_summary(prepared: "PreparedDataset", split: tuple[float, float, float] | str | None) -> None:
    typer.echo(f"{'':12}{'structures':>12}{'atoms':>10}{'elements':>10}{'with gap':>10}  file")
    everything = [row for rows in prepared.parts.values() for row in rows]
    for name, rows in prepared.parts.items():
        typer.echo(f"{name:12}{_numbers(rows)}  {prepared.path(name).name}")
    typer.echo(f"{'total':12}{_numbers(everything)}")
    axis = prepared.axis
    typer.echo(f"\nenergy axis     {axis.grid}, relative to the Fermi level")
    typer.echo(f"smearing        {axis.smearing:g} eV")
    typer.echo(f"largest shift   {axis.max_shift * axis.grid.step:g} eV ({axis.max_shift} channels)")
    grouped_by = prepared.split.grouped_by
    together = {"structure": "no groups (too few compounds)", "given": "as in the given split"}
    typer.echo(f"kept together   {together.get(grouped_by, f'structures of one {grouped_by}')}")
    typer.echo(f"also written    {_also_written(prepared, everything)}")
    codes = sorted({row.code for row in everything} - {""})
    if codes:
        typer.echo(f"DFT codes       {', '.join(codes)}")
    if len(codes) > 1:
        typer.echo("warning: energies from different codes have different zeros, and some codes may lack deep states")
    unknown = sum(row.has_unknown_smearing for row in everything)
    if unknown:
        typer.echo(f"smearing        unknown for {_structures(unknown)} given as a density of states")
    elements = {symbol for row in everything for symbol in row.identity.elements}
    undetermined = sorted(elements - set(axis.valence_electrons))
    if undetermined:
        typer.echo(f"valence         number of electrons not determined for {' '.join(undetermined)}")
    if prepared.num_missing_bands:
        number = _structures(prepared.num_missing_bands)
        typer.echo(f"missing bands   in {number}, not trusted up to the Fermi level")
    if prepared.split.validates_on_training_set:
        why = "too few structures to hold any out" if split else "no frame has the split 'validation'"
        typer.echo(f"warning: {why}; the training set is also the validation set")
    elif isinstance(split, tuple):
        _compare_shares(prepared, split)
    show_rejected(prepared.rejected, where=f" ({prepared.folder / 'report.csv'} lists all of them)")
    typer.echo(f"\nOverview:       {prepared.folder / 'summary.png'}")
    typer.echo(f"Train a model:  cd {prepared.folder} && mtt train options.yaml")


def _compare_shares(prepared: "PreparedDataset", shares: tuple[float, float, float]) -> None:
    train, *held_out = (len(rows) for rows in prepared.parts.values())
    wanted = (train + sum(held_out)) * sum(shares[1:]) / sum(shares)
    if sum(held_out) < _FEW_HELD_OUT * wanted:
        typer.echo(
            f"note: {_structures(sum(held_out))} held out instead of {wanted:.0f}, because each of their elements must "
            "occur in three other compounds of the training set"
        )


def _structures(number: int) -> str:
    return "1 structure" if number == 1 else f"{number} structures"


def _numbers(rows: "Sequence[Row]") -> str:
    atoms = sum(row.num_atoms for row in rows)
    elements = len({element for row in rows for element in row.identity.elements})
    return f"{len(rows):>12}{atoms:>10}{elements:>10}{sum(row.band_gap > 0 for row in rows):>10}"


def _also_written(prepared: "PreparedDataset", rows: "Sequence[Row]") -> str:
    from electrain.interface.quantities import quantity_of

    found = []
    for name in prepared.contents:
        plural, number = quantity_of(name).plural_label, sum(name in row.known for row in rows)
        found.append(plural if number == len(rows) else f"{plural} ({number} of {len(rows)} structures)")
    return ", ".join(found) or "no energies"
