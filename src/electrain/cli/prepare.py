"""``electrain prepare``: turn DFT calculations into a data set for training."""

from pathlib import Path
from typing import Annotated

import typer

from .common import usage
from .prepare_choices import Format, Layout, MissingBands, Normalize, Spectra, Unit

_OF_SPECTRA = {"unit", "source_unit", "columns", "normalize"}
_OF_BANDS = {"meshes", "num_bands", "num_k_points"}
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
    meshes: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            exists=True,
            help="With --bands: calculations on meshes of k-points, or a folder of them, to learn from beside those "
            "along paths. They are added to the training set only. May be given several times.",
        ),
    ] = None,
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

    Example:  electrain prepare band_structures/ -o data --bands --meshes calculations/

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
            meshes=meshes or (),
            **{} if num_bands is None else {"num_bands": num_bands},
            **{} if num_k_points is None else {"num_k_points": num_k_points},
            split=_index_files(split) or _split(split),
            seed=seed,
            form=None if form is None else form.value,
            overwrite=overwrite,
        )
        return
    from .prepare_calculations import prepare_and_show as prepare_calculations_and_show

    prepare_calculations_and_show(
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
    )


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
