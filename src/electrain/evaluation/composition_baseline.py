"""The best density of states from the composition alone: the baseline that a model has to beat."""

import torch

from electrain.spectra import spectral_loss_terms

# Sweeps stop when the loss decreases by less than this fraction, or after this number.
_RELATIVE_IMPROVEMENT = 1e-4
_MAX_SWEEPS = 30

# Sizes of the blocks that are in memory at one time.
_STRUCTURES_PER_BLOCK = 256
_CHANNELS_PER_BLOCK = 512


class CompositionBaseline:
    r"""A sum of one constant spectrum per element, :math:`y_A(E) = \sum_Z n_{AZ}\, d_Z(E)`.

    The spectra minimise the mean over structures of the alignment term per atom,
    :math:`AL_A / N_A` (see :func:`~electrain.spectra.spectral_loss_terms`), plus
    :math:`e\,\lambda \sum_{Z,E} d_Z(E)^2` divided by the number of structures. Two steps alternate, neither of which
    can increase that sum: finding the best shift of every structure for given spectra, and linear least squares for
    given shifts. They converge to a local minimum, which is not necessarily the global one.

    :param ridge: :math:`\lambda`, in atoms. It sets a spectrum to zero where no structure has data.
    """

    def __init__(self, ridge: float = 1e-6) -> None:
        if not ridge > 0:
            raise ValueError(f"expected a positive ridge, got {ridge}")
        self.ridge = ridge
        #: ``d``, in states/eV per atom, float64, shape ``(num_elements, num_channels + max_shift)``.
        self.spectra: torch.Tensor | None = None
        #: Mean over structures of the alignment term per atom after each sweep, in states^2/eV/atom.
        self.losses: list[float] = []

    def fit(
        self,
        compositions: torch.Tensor,
        targets: torch.Tensor,
        trusted: torch.Tensor,
        max_shift: int,
        step: float,
    ) -> "CompositionBaseline":
        """Fit the spectra, starting with all structures in the middle of the range of shifts.

        Structures without trusted channels are ignored.

        :param compositions: number of atoms of each element, shape ``(num_structures, num_elements)``.
        :param targets: in states/eV, shape ``(num_structures, num_channels)``; any value where not trusted.
        :param trusted: bool, shape ``(num_structures, num_channels)``: the lowest channels of each structure.
        :param max_shift: number of channels by which the prediction is longer than the target.
        :param step: spacing of the channels, in eV.
        :return: this object.
        :raises ValueError: for inconsistent shapes, a structure without atoms, or trusted channels above channels that
            are not trusted.
        """
        _check(compositions, targets, trusted)
        used = trusted.any(dim=1)
        counts = compositions[used].double()
        targets, trusted = torch.where(trusted, targets, 0.0)[used], trusted[used]
        num_predicted = targets.shape[1] + max_shift
        shifts = torch.full((len(counts),), max_shift // 2, device=targets.device)
        self.losses = []
        objective = float("inf")
        for _ in range(_MAX_SWEEPS):
            self.spectra = self._solve(counts, targets, trusted, shifts, num_predicted)
            shifts, loss = self._align(counts, targets, trusted, step)
            self.losses.append(loss)
            penalty = step * self.ridge * float((self.spectra**2).sum()) / len(counts)
            previous, objective = objective, loss + penalty
            if objective >= previous * (1 - _RELATIVE_IMPROVEMENT):
                break
        return self

    def predict(self, compositions: torch.Tensor) -> torch.Tensor:
        """Predict the spectra of other structures.

        :param compositions: number of atoms of each element, shape ``(num_structures, num_elements)``.
        :return: in states/eV, float64, shape ``(num_structures, num_channels + max_shift)``.
        :raises RuntimeError: before :meth:`fit`.
        """
        if self.spectra is None:
            raise RuntimeError("the composition baseline has no spectra yet; call fit first")
        return compositions.to(self.spectra) @ self.spectra

    def _align(
        self, counts: torch.Tensor, targets: torch.Tensor, trusted: torch.Tensor, step: float
    ) -> tuple[torch.Tensor, float]:
        """Best shifts, shape ``(num_structures,)``, and the mean alignment term per atom at these shifts."""
        shifts, losses = [], []
        blocks = zip(*(values.split(_STRUCTURES_PER_BLOCK) for values in (counts, targets, trusted)), strict=True)
        for block_counts, block_targets, block_trusted in blocks:
            terms = spectral_loss_terms(self.predict(block_counts), block_targets.double(), block_trusted, step)
            shifts.append(terms.shift)
            losses.append(terms.alignment / block_counts.sum(dim=1))
        return torch.cat(shifts), float(torch.cat(losses).mean())

    def _solve(
        self,
        counts: torch.Tensor,
        targets: torch.Tensor,
        trusted: torch.Tensor,
        shifts: torch.Tensor,
        num_predicted: int,
    ) -> torch.Tensor:
        """Spectra at given shifts, shape ``(num_elements, num_predicted)``: one ridge problem per channel."""
        weights = 1.0 / counts.sum(dim=1)
        right = _right_sides(counts * weights.unsqueeze(1), targets, shifts, num_predicted)
        # A structure constrains every channel of the prediction below this one: with zero below its window.
        ends = shifts + trusted.sum(dim=1)
        num_elements = counts.shape[1]
        identity = torch.eye(num_elements, dtype=torch.float64, device=counts.device)
        normal = self.ridge * identity
        spectra = torch.zeros(num_elements, num_predicted, dtype=torch.float64, device=counts.device)
        # From the top down, so that the matrix of a channel is that of the channel above plus what ends there.
        for stop in range(num_predicted, 0, -_CHANNELS_PER_BLOCK):
            start = max(0, stop - _CHANNELS_PER_BLOCK)
            ending = (ends > start) & (ends <= stop)
            outer = torch.zeros(stop - start, num_elements, num_elements).to(counts)
            weighted = counts[ending] * weights[ending].unsqueeze(1)
            outer.index_add_(0, stop - ends[ending], weighted.unsqueeze(2) * counts[ending].unsqueeze(1))
            matrices = normal + outer.cumsum(dim=0)
            normal = matrices[-1]
            factors = torch.linalg.cholesky(matrices)
            solved = torch.cholesky_solve(right[:, start:stop].flip(1).T.unsqueeze(2), factors)
            spectra[:, start:stop] = solved.squeeze(2).T.flip(1)
        return spectra


def _right_sides(
    weighted: torch.Tensor, targets: torch.Tensor, shifts: torch.Tensor, num_predicted: int
) -> torch.Tensor:
    """Weighted sums of the shifted targets, shape ``(num_elements, num_predicted)``."""
    total = weighted.new_zeros(weighted.shape[1], num_predicted)
    channels = torch.arange(targets.shape[1], device=targets.device)
    blocks = zip(*(values.split(_STRUCTURES_PER_BLOCK) for values in (weighted, targets, shifts)), strict=True)
    for block_weighted, block_targets, block_shifts in blocks:
        moved = weighted.new_zeros(len(block_targets), num_predicted)
        moved.scatter_(1, block_shifts.unsqueeze(1) + channels, block_targets.double())
        total += block_weighted.T @ moved
    return total


def _check(compositions: torch.Tensor, targets: torch.Tensor, trusted: torch.Tensor) -> None:
    if compositions.dim() != 2 or targets.dim() != 2 or len(compositions) != len(targets):
        raise ValueError(
            "expected compositions of shape (num_structures, num_elements) and targets of shape "
            f"(num_structures, num_channels), got {tuple(compositions.shape)} and {tuple(targets.shape)}"
        )
    if trusted.dtype != torch.bool or trusted.shape != targets.shape:
        raise ValueError(
            f"expected a bool mask of the shape of the targets, {tuple(targets.shape)}, "
            f"got {trusted.dtype} of shape {tuple(trusted.shape)}"
        )
    if not (compositions.sum(dim=1) > 0).all() or (compositions < 0).any():
        raise ValueError("expected at least one atom in every composition and no negative count")
    if (trusted[:, 1:] & ~trusted[:, :-1]).any():
        raise ValueError("expected the trusted channels to be the lowest of each structure, without gaps")
    if not trusted.any():
        raise ValueError("expected at least one structure with trusted channels")
