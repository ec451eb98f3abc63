"""Models that others have published on the Hugging Face Hub: downloaded and converted when they are first used."""

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from electrain import __version__
from electrain.files.archives import archive_entries
from electrain.interface.quantities import BAND_GAP, DENSITY_OF_STATES, ENERGY, FERMI_LEVEL

from .cache import VARIABLE, cache_folder
from .embedded import read_card
from .hub import HubFile, NotAvailableError, find

# By its name, as metatrain finds architectures: they are above this package, because they use it to find checkpoints.
_CONVERTER = "electrain.architectures.pet_mad.from_pet.convert:convert"


@dataclass(frozen=True)
class Published:
    """A model of metatrain's `pet` in a repository of the Hugging Face Hub.

    Its checkpoint, as data that cannot run anything, is converted by this version of electrain, and only the result is
    opened. All files are in a folder of their own, ``CACHE/NAME``: downloads that the user has put there by hand, and
    results in ``CACHE/NAME/VERSION``.

    :param name: its name.
    :param checkpoint: the checkpoint.
    :param predicts: the quantities that it predicts, by their names in exported models.
    :param num_elements: number of elements that it knows.
    :param networks: state dictionaries of networks that read quantities from the density of states.
    """

    name: str
    checkpoint: HubFile
    predicts: tuple[str, ...]
    num_elements: int
    networks: Mapping[str, HubFile] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Its folder in the cache."""
        return cache_folder() / self.name

    def file(self, suffix: str) -> Path:
        """Return its exported model (``.pt``) or its checkpoint (``.ckpt``), made if it does not exist or is damaged.

        :raises NotAvailableError: if it can be neither found on this machine nor downloaded.
        :raises ValueError: if what was downloaded is not this model.
        :raises OSError: if the cache cannot be written.
        """
        path = self._made(suffix)
        if not _is_intact(path):
            self._build()
        return path

    def exported(self) -> Path | None:
        """Return its exported model, if it has been downloaded and converted before."""
        path = self._made(".pt")
        return path if _is_intact(path) else None

    def card(self) -> str:
        """Return its description, in Markdown."""
        return read_card(self.name)

    def _made(self, suffix: str) -> Path:
        return self.folder / __version__ / f"model{suffix}"

    def _build(self) -> None:
        from electrain.files.checkpoints import write_checkpoint  # imports torch, which takes seconds
        from electrain.files.models import save_model

        model = self._convert()
        folder = self._made(".pt").parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_checkpoint(model.get_checkpoint(), self._made(".ckpt"))
            save_model(model.export(), self._made(".pt"))
        except OSError as error:
            raise OSError(
                f"{self.name} cannot be kept in {folder}: {error.strerror or error}; the environment variable "
                f"{VARIABLE} chooses another folder than {cache_folder()}"
            ) from error

    def _convert(self) -> Any:
        files = [self.checkpoint, *self.networks.values()]
        try:
            checkpoint, *networks = [find(file, self.folder) for file in files]
        except NotAvailableError as error:
            missing = [file for file in files if not file.by_hand(self.folder).exists()]
            raise NotAvailableError(
                f"{self.name} cannot be downloaded: {error}. Without a network, put "
                f"{'this file' if len(missing) == 1 else 'these files'} into the folder {self.folder} by hand:"
                + "".join(f"\n  {file.url()}" for file in missing)
            ) from error
        weights = dict(zip(self.networks, (network.content for network in networks), strict=True))
        try:
            model = pkgutil.resolve_name(_CONVERTER)(checkpoint.content, spectrum_weights=weights)
        except ValueError as error:
            names = ", ".join(str(file.path) for file in (checkpoint, *networks))
            raise ValueError(f"{self.name} cannot be made from {names}: {error}") from error
        missing_outputs = [name for name in self.predicts if name not in model.dataset_info.targets]
        if missing_outputs:
            raise ValueError(
                f"expected the model {self.name} in {checkpoint.path}, but the model in it does not predict "
                f"{', '.join(missing_outputs)}"
            )
        return model


def _is_intact(path: Path) -> bool:
    try:
        entries = archive_entries(path, "model", "a model", ValueError)
    except (ValueError, OSError):
        return False
    # The end of a file that was cut may be the end of an archive inside it, such as that of a TensorMap.
    return "data.pkl" in entries


# As the authors' packages `upet` (0.2.5) and `pet-mad` download them.
_PET_MAD_DOS = "lab-cosmo/pet-mad-dos"
PUBLISHED = (
    Published(
        "pet-mad-dos",
        HubFile(_PET_MAD_DOS, "models/pet-mad-dos-v1.0.ckpt"),
        predicts=(DENSITY_OF_STATES, BAND_GAP, FERMI_LEVEL),
        num_elements=85,
        networks={
            BAND_GAP: HubFile(_PET_MAD_DOS, "models/bandgap-model.pt"),
            FERMI_LEVEL: HubFile(_PET_MAD_DOS, "models/fermi-model.pt"),
        },
    ),
    Published(
        "pet-mad",
        HubFile("lab-cosmo/upet", "models/pet-mad-s-v1.5.0.ckpt"),
        predicts=(ENERGY,),
        num_elements=102,
    ),
)
