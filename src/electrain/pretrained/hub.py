"""Files of repositories on the Hugging Face Hub: put somewhere by hand, in the Hub's own cache, or downloaded."""

from pathlib import Path
from typing import Any, NamedTuple


class NotAvailableError(OSError):
    """A file that is neither on this machine nor can be downloaded."""


class HubFile(NamedTuple):
    """A file in a repository.

    :param repository: owner and name of the repository.
    :param file: path in the repository.
    :param revision: branch, tag or commit.
    """

    repository: str
    file: str
    revision: str = "main"

    def by_hand(self, folder: Path) -> Path:
        """Return where a user may put the file."""
        return folder / Path(self.file).name

    def url(self) -> str:
        """Return the address of the file, which is a mirror's if the environment variable ``HF_ENDPOINT`` names one."""
        from huggingface_hub import hf_hub_url

        return hf_hub_url(self.repository, self.file, revision=self.revision)


class Found(NamedTuple):
    """A file on this machine and the data in it."""

    path: Path
    content: dict[str, Any]


def find(file: HubFile, folder: Path) -> Found:
    """Read a checkpoint or a state dictionary, which is downloaded if it is not on this machine, or damaged there.

    Nothing in it is executed.

    :param file: the file.
    :param folder: where a user may have put it by hand.
    :raises NotAvailableError: if it can be neither found nor downloaded.
    :raises CheckpointError: if it is another kind of file, references code, or is still damaged after it was
        downloaded again.
    """
    from electrain.files.checkpoints import CheckpointError, UnsafeCheckpointError, read_checkpoint

    own = file.by_hand(folder)
    if own.exists():
        return Found(own, read_checkpoint(own))
    path = _in_cache(file) or _download(file)
    try:
        return Found(path, read_checkpoint(path))
    except UnsafeCheckpointError:
        raise
    except CheckpointError as error:
        try:
            path = _download(file, again=True)
        except NotAvailableError as second:
            raise NotAvailableError(f"{error}; {second}") from error
        return Found(path, read_checkpoint(path))


def _in_cache(file: HubFile) -> Path | None:
    """Look into the Hub's cache first: without a network, it would try to connect for half a minute."""
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(file.repository, file.file, revision=file.revision)
    return Path(path) if isinstance(path, str) else None


def _download(file: HubFile, *, again: bool = False) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        path = hf_hub_download(
            file.repository,
            file.file,
            revision=file.revision,
            library_name="electrain",
            token=False,  # public, and an expired token of the user would be refused
            force_download=again,
        )
    except Exception as error:  # huggingface_hub and the libraries below it raise all kinds of errors
        raise NotAvailableError(
            f"{file.file} of the Hugging Face repository {file.repository} ({file.revision}) was not received "
            f"({_reason(error)})"
        ) from error
    return Path(path)


def _reason(error: BaseException) -> str:
    """Return the first line of the cause: the Hub's own errors explain at length that there is none in the cache."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
