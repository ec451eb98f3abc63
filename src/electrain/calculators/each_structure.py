"""Models with one result for each structure, without further options."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar, overload

from ase import Atoms
from tqdm import tqdm

from .batches import BATCH_SIZE, in_batches
from .exported_model import ExportedModel
from .structures import Structure, Structures, is_structure, iterate_atoms, to_atoms

Result = TypeVar("Result")


class EachStructureModel(ExportedModel, Generic[Result]):
    """Predicts one structure, several, or any number of them batch by batch; subclasses predict a batch."""

    # Lists and names first: without type hints in ASE, anything may be its Atoms.
    @overload
    def predict(self, structures: str | Path | list | tuple, *, batch_size: int = BATCH_SIZE) -> list[Result]: ...

    @overload
    def predict(self, structures: Structure, *, batch_size: int = BATCH_SIZE) -> Result: ...

    @overload
    def predict(self, structures: Iterable[Structure], *, batch_size: int = BATCH_SIZE) -> list[Result]: ...

    def predict(self, structures: Structure | Structures, *, batch_size: int = BATCH_SIZE) -> Result | list[Result]:
        """Predict one structure, several, or all structures of a file.

        :param structures: as for :meth:`electrain.calculators.ElectronicStructureModel.predict`.
        :param batch_size: maximum number of atoms per batch (a larger structure is computed alone).
        :return: one result for one structure, otherwise a list.
        :raises FileNotFoundError: if there is no such file.
        :raises TypeError: for anything else.
        :raises ValueError: as for :meth:`check`; of several structures, with the index (from 0) and formula.
        """
        if is_structure(structures):
            atoms = to_atoms(structures)
            self.check(atoms)
            return self._predict_batch([atoms])[0]
        return list(self.predict_many(iterate_atoms(structures), batch_size=batch_size))

    def predict_many(
        self, structures: Iterable[Structure], *, batch_size: int = BATCH_SIZE, progress: bool = False
    ) -> Iterator[Result]:
        """Predict structures batch by batch, while the results are iterated over.

        :param structures: a list, or an iterator over any number of structures, because only one batch is in memory at
            a time. Results are in the same order.
        :param batch_size: maximum number of atoms per batch (a larger structure is computed alone).
        :param progress: show a progress bar.
        :raises ValueError: as for :meth:`check`, with the index (from 0) and formula of the structure.
        """
        bar = tqdm(structures, unit=" structures", disable=not progress)
        yield from self.predict_checked(self._checked(bar), batch_size=batch_size)

    def predict_checked(self, structures: Iterable[Atoms], *, batch_size: int = BATCH_SIZE) -> Iterator[Result]:
        """Predict structures as :meth:`predict_many` does, but without checking them.

        :param structures: structures that passed :meth:`check`.
        :param batch_size: maximum number of atoms per batch (a larger structure is computed alone).
        :raises ValueError: if the model refuses a structure, or if a prediction is not finite.
        """
        for batch in in_batches(structures, batch_size):
            yield from self._predict_batch(batch)

    def _predict_batch(self, batch: Sequence[Atoms]) -> list[Result]:
        raise NotImplementedError
