"""Predict any number of structures, and continue if one of them fails."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from ase import Atoms

from electrain.structures.files import Unreadable

from .batches import BATCH_SIZE, in_batches

Result = TypeVar("Result")
_Result = TypeVar("_Result", covariant=True)


class _Model(Protocol[_Result]):
    """What all models have that predict something for each structure."""

    def check(self, atoms: Atoms) -> None: ...

    @property
    def predict_checked(self) -> Callable[..., Iterator[_Result]]: ...


@dataclass(frozen=True, eq=False)
class Predicted(Generic[Result]):
    """A structure that was computed.

    :param name: name of the structure.
    :param result: its prediction: the electronic structure, the spectrum, or the bands.
    """

    name: str
    result: Result


@dataclass(frozen=True)
class Failed:
    """A structure that could not be read or computed.

    :param name: name of the structure, or of the file if it cannot be read.
    :param reason: what is wrong, in one line.
    """

    name: str
    reason: str


def screen(
    model: _Model[Result],
    structures: Iterable[tuple[str, Atoms] | Unreadable],
    *,
    batch_size: int = BATCH_SIZE,
    **options: Any,
) -> Iterator[list[Predicted[Result] | Failed]]:
    """Predict structures batch by batch, and report why structures fail.

    >>> for batch in screen(model, read_structures("md.xyz")):
    ...     for outcome in batch:
    ...         print(outcome.name, outcome.reason if isinstance(outcome, Failed) else outcome.result.band_gap)

    :param model: an :class:`~electrain.calculators.ElectronicStructureModel`, a
        :class:`~electrain.calculators.SpectrumModel` or a :class:`~electrain.calculators.BandModel`.
    :param structures: names and structures, or files that could not be read, as returned by
        :func:`electrain.structures.files.read_structures`. Only one batch is in memory at a time.
    :param batch_size: maximum number of atoms per batch (a larger structure is computed alone).
    :param options: further options of the model's ``predict_many``, such as ``per_atom``.
    :return: the outcomes, batch by batch, in the order of the structures.
    :raises ValueError: for a batch size that is not positive.
    """
    candidates = (_candidate(model, item) for item in structures)
    for batch in in_batches(candidates, batch_size):
        yield _outcomes(partial(model.predict_checked, batch_size=batch_size, **options), batch)


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A structure that passed the checks, or, if ``atoms`` is ``None``, the reason why it is not computed."""

    name: str
    atoms: Atoms | None
    reason: str = ""

    def __len__(self) -> int:
        """Number of atoms to compute; 1 for a failure, so that failures alone also fill a batch."""
        return 1 if self.atoms is None else len(self.atoms)


def _candidate(model: _Model, item: tuple[str, Atoms] | Unreadable) -> _Candidate:
    if isinstance(item, Unreadable):
        return _Candidate(item.name, None, item.reason)
    name, atoms = item
    try:
        model.check(atoms)
    except ValueError as error:
        return _Candidate(name, None, str(error))
    return _Candidate(name, atoms)


def _outcomes(
    predict: Callable[[list[Atoms]], Iterator[Result]], batch: Sequence[_Candidate]
) -> list[Predicted[Result] | Failed]:
    """Predict a batch at once, or, if the model fails, in halves, down to the structures that make it fail."""
    structures = [candidate.atoms for candidate in batch if candidate.atoms is not None]
    try:
        results = list(predict(structures))
    except (ValueError, RuntimeError) as error:
        # The last line of a TorchScript error tells what happened, those before it where.
        reason = str(error).strip().rpartition("\n")[2]
    else:
        remaining = iter(results)
        return [
            Failed(candidate.name, candidate.reason)
            if candidate.atoms is None
            else Predicted(candidate.name, next(remaining))
            for candidate in batch
        ]
    # Here the error has been released, and with it the memory that it kept alive.
    if len(batch) == 1:
        return [Failed(batch[0].name, reason)]
    middle = len(batch) // 2
    return [outcome for half in (batch[:middle], batch[middle:]) for outcome in _outcomes(predict, half)]
