"""What a model asks of its network: the contract that every architecture fulfils on plain tensors."""

from typing import Any, Dict, List, NamedTuple

import torch
from torch import nn

from .batch import Batch
from .cutoff import Cutoff
from .pooling import PooledFeatures
from .selection import Selection
from .shifted_spectra import ShiftedSpectra, SpectrumChannels


class Request(NamedTuple):
    """The outputs requested from a network."""

    wanted: Dict[str, str]  # target -> "atom" or "system"; includes spectra from which others are read
    features_of: List[str]  # targets whose last features are outputs


class Predictions(NamedTuple):
    """Predicted numbers, and what entered the last linear maps, by name of the target."""

    values: Dict[str, torch.Tensor]  # (num_selected_atoms or num_systems, num_values), as asked for
    features: Dict[str, PooledFeatures]  # of the selected atoms


class Network(nn.Module):
    """From structures and pairs of atoms to features, and from features to predictions.

    Each network has features of a type of its own (a ``NamedTuple``), which its methods hand on; nobody else looks into
    them. TorchScript compiles :meth:`forward`, :meth:`predict` and :meth:`pooled_features`: a network writes down their
    types, decorates the last two with ``torch.jit.export``, and annotates no attribute of its own class, which would
    hide the ones of this class. It has its heads in ``self.heads = nn.ModuleDict()``.

    Differentiable with respect to positions and cells, for forces and stress.
    """

    pairs: Cutoff  # which pairs of atoms are read; the batch has them up to the radius
    averaged: List[str]  # outputs of the kind "mean", see `add_output`
    vectors: List[str]  # outputs that are Cartesian vectors

    num_features = 0  # that enter the last linear map of an output
    node_width = 0  # features that `node_features` gives, for networks that take long-range ones
    reads_states = False  # whether charges and spin multiplicities are (`Batch.states`)
    reads_crystal_systems = False  # whether those of the batch are; engines need not know them
    reads_k_points = False  # likewise

    def __init__(self) -> None:
        super().__init__()
        self.averaged, self.vectors = [], []
        self.descriptors: Any = None  # fixed ones, of a network that reads them; standardised on the training set

    def interaction_range(self) -> float:
        """How far away an atom can be and still change a prediction, in Angstrom; too little is wrong in silence."""
        raise NotImplementedError

    def neighbor_radius(self) -> float:
        """How far apart two atoms can be whose pair is read, in Angstrom."""
        return self.pairs.radius

    def spectra_to_start(self) -> List[str]:
        """Targets whose predictions begin with a spectrum of each element, fitted to the training set.

        They are those whose head has a :class:`~electrain.nn.shifted_spectra.ShiftedSpectra` as its last map.
        """
        heads = self._heads().items()
        return [name for name, head in heads if isinstance(getattr(head, "last", None), ShiftedSpectra)]

    def start_spectra(self, name: str, spectra: torch.Tensor, chosen: torch.Tensor | None = None) -> None:
        """Begin with a spectrum for each element.

        :param name: one of :meth:`spectra_to_start`.
        :param spectra: (num_elements, size), not negative, per atom.
        :param chosen: indices of the elements that begin with it; default: all.
        """
        self._heads()[name].last.start_from(spectra, chosen)

    def means_to_start(self) -> List[str]:
        """Targets whose predictions begin near their mean over the training set.

        They are those whose head has a method ``start_from_mean``, which takes the mean (size,), and these predictions
        in its parameter ``start``.
        """
        return [name for name, head in self._heads().items() if hasattr(head, "start_from_mean")]

    def start_mean(self, name: str, mean: torch.Tensor) -> None:
        """Begin near a mean.

        :param name: one of :meth:`means_to_start`.
        :param mean: (size,) of the target.
        """
        self._heads()[name].start_from_mean(mean)

    def starting_points(self) -> List[nn.Parameter]:
        """Parameters that begin with what is known already, and must not decay to zero."""
        spectra = [self._heads()[name].last.elements for name in self.spectra_to_start()]
        return spectra + [self._heads()[name].start for name in self.means_to_start()]

    def make_head(self, size: int, kind: str) -> nn.Module:
        """All parameters that belong to one target alone.

        :param size: predicted values per atom or structure.
        :param kind: ``"sum"`` or ``"mean"``, see :meth:`add_output`, or ``"spectrum"``.
        """
        raise NotImplementedError

    def make_spectrum_head(self, channels: SpectrumChannels) -> nn.Module:
        """All parameters that belong to one spectrum alone; by default, :meth:`make_head` makes them."""
        return self.make_head(channels.size, "spectrum")

    def make_bands_head(self, size: int) -> nn.Module:
        """All parameters that belong to bands.

        :param size: number of bands times number of k-points.
        :raises ValueError: for a network that predicts no bands.
        """
        raise ValueError("this network reads no k-points, so it cannot predict bands; use `bandformer`")

    def make_vector_head(self, size: int, kind: str) -> nn.Module:
        """All parameters that belong to one target of Cartesian vectors, of which the first index is x, y, z.

        By default, :meth:`make_head` makes them: a network that is not equivariant learns how components turn.
        """
        return self.make_head(size, kind)

    def last_layer(self, name: str) -> List[str]:
        """Names of the weights that map a target's last features linearly; none where the map is not linear."""
        raise NotImplementedError

    def has_last_features(self, name: str) -> bool:
        """Whether the features of a target tell how unusual a structure is, so that errors can be estimated from them.

        That of a linear map follows from theory; of other heads it is an assumption that their calibration tests.
        """
        return bool(self.last_layer(name))

    def add_output(
        self,
        name: str,
        size: int,
        kind: str,
        channels: SpectrumChannels | None = None,
        *,
        is_vector: bool = False,
    ) -> None:
        """Make room for a target.

        :param name: of the target.
        :param size: predicted values per atom or structure.
        :param kind: how a structure's values come from those of its atoms: as their ``"sum"`` or their ``"mean"``, or
            ``"bands"``, which only a whole structure has.
        :param channels: those of a spectrum, whose values they are.
        :param is_vector: whether the values are the components of Cartesian vectors.
        """
        if kind == "bands":
            self._heads()[name] = self.make_bands_head(size)
        elif is_vector:
            self._heads()[name] = self.make_vector_head(size, kind)
        else:
            self._heads()[name] = self.make_head(size, kind) if channels is None else self.make_spectrum_head(channels)
        self.averaged += [name] * (kind == "mean")
        self.vectors += [name] * is_vector

    def remove_output(self, name: str) -> None:
        """Forget a target."""
        del self._heads()[name]
        self.averaged = [other for other in self.averaged if other != name]
        self.vectors = [other for other in self.vectors if other != name]

    def head(self, name: str) -> nn.Module:
        """That of a target."""
        return self._heads()[name]

    def _heads(self) -> Any:  # TorchScript: modules cannot be annotated in the class
        return self.heads

    def forward(self, batch: Batch) -> Any:
        """Features of a batch."""
        raise NotImplementedError

    def predict(
        self, features: Any, wanted: Dict[str, str], features_of: List[str], selection: Selection
    ) -> Predictions:
        """Predictions of the selected atoms, or of structures made of them alone.

        :param features: what :meth:`forward` returned.
        :param wanted: targets to predict, and for each ``"atom"`` or ``"system"``.
        :param features_of: targets whose last features are wanted.
        :param selection: of atoms.
        """
        raise NotImplementedError

    def pooled_features(self, features: Any) -> PooledFeatures:
        """Features of every atom before any head, the output that metatomic calls ``feature``."""
        raise NotImplementedError

    def node_features(self, features: Any) -> torch.Tensor:
        """One row for every atom, (num_atoms, node_width), from which long-range features are made."""
        raise NotImplementedError

    def add_long_range(self, features: Any, far: torch.Tensor) -> Any:
        """Features that know of long-range ones, (num_atoms, node_width)."""
        raise NotImplementedError
