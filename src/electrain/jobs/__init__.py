"""Long work in small pieces: in parallel, with progress, and resumed where it stopped.

A job is a folder. It contains a record of everything that determines the result, and chunks of results that are
complete or do not exist. Only one process at a time may work in it. For example, a screening of many structures::

    def predict_chunk(model: Path, structures: list[Atoms], path: Path) -> None:
        with atomically(path) as unfinished, unfinished.open("wb") as file:
            np.savez(file, gaps=gaps_of(model, structures))

    with open_job(Path("screening")) as job, dask_client(workers=4, address=None) as client:
        job.begin({"version": __version__, "model": sha256_of(model), "structures": sha256_of(file)})
        firsts = range(0, number, 100)
        paths = [job.chunk("gaps", first, ".npz") for first in firsts]
        tasks = ((model, ase.io.read(file, f"{first}:{first + 100}")) for first in firsts)
        make_chunks(predict_chunk, tasks, paths, [100] * len(paths), what="predicting", client=client)
        gaps = np.concatenate([np.load(path)["gaps"] for path in paths])

If it is killed, it continues where it stopped. :meth:`~electrain.jobs.folder.JobFolder.begin` replaces the job of
another model or other structures; check :attr:`~electrain.jobs.folder.JobFolder.begun` first to prevent that.
"""
