"""Low-rank updates of linear layers (LoRA), for fine-tuning a network with few parameters.

Source: Hu et al., "LoRA: low-rank adaptation of large language models" (2021); PET-MAD paper, section IV.E.
"""

from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from .layers import Linear


class LowRank(NamedTuple):
    """Settings of the low-rank updates of a network."""

    rank: int = 8
    alpha: float = 4.0
    target_modules: tuple[str, ...] | None = None  # names of the layers to update; all that have one by default


class LowRankLinear(Linear):
    """A linear layer with an update of low rank: ``W x + b + (alpha / rank) B A x``.

    ``B`` starts from zero, so the new layer initially gives the same results as the original one. Weight and bias keep
    their names, so the base model's parameters have the same names with and without updates.

    :param base: the layer to update, which must have a bias; its parameters are shared.
    :param rank: rows of ``A`` (rank, in_features) and columns of ``B`` (out_features, rank).
    :param alpha: strength of the update, in units of the rank.
    :raises ValueError: for a rank below 1.
    """

    def __init__(self, base: nn.Linear, rank: int, alpha: float) -> None:
        if rank < 1:
            raise ValueError(f"the rank of a low-rank update must be at least 1, got {rank}")
        super().__init__(base.in_features, base.out_features, device="meta")
        self.weight, self.bias = base.weight, base.bias
        self.rank, self.alpha = rank, float(alpha)
        self.scaling = self.alpha / rank
        self.low_rank_a = nn.Parameter(base.weight.new_empty(rank, base.in_features))
        self.low_rank_b = nn.Parameter(base.weight.new_zeros(base.out_features, rank))
        # initialised like the rows of a linear layer with the same number of inputs
        nn.init.uniform_(self.low_rank_a, -(base.in_features**-0.5), base.in_features**-0.5)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(..., in_features) -> (..., out_features)."""
        dtype = features.dtype
        inner = functional.linear(features, self.low_rank_a.to(dtype))
        plain = functional.linear(features, self.weight.to(dtype), self.bias.to(dtype))
        return plain + self.scaling * functional.linear(inner, self.low_rank_b.to(dtype))

    @torch.jit.unused
    def merged(self) -> Linear:
        """The plain linear layer with the weight ``W + (alpha / rank) B A``, summed in float64."""
        layer = Linear(self.in_features, self.out_features, device="meta")
        update = self.scaling * (self.low_rank_b.detach().double() @ self.low_rank_a.detach().double())
        weight = (self.weight.detach().double() + update).to(self.weight.dtype)
        layer.weight = nn.Parameter(weight)
        layer.bias = self.bias
        return layer.train(self.training)


def add_low_rank(module: nn.Module, setup: LowRank) -> None:
    """Add low-rank updates to linear layers inside a module, in place.

    :raises ValueError: for a rank below 1, and as for :func:`layers_to_update`.
    """
    for block, name in layers_to_update(module, setup):
        setattr(block, name, LowRankLinear(getattr(block, name), setup.rank, setup.alpha))


def layers_to_update(module: nn.Module, setup: LowRank) -> list[tuple[Any, str]]:
    """The layers inside a module that get low-rank updates: the block that has them, and their name there.

    A block, such as attention, lists the layers that can have one in its class attribute ``LOW_RANK_LAYERS``. It calls
    them as modules, so that they can be replaced.

    :raises ValueError: for names of layers that no block has, or a module without such blocks.
    """
    blocks: list[Any] = [child for child in module.modules() if hasattr(child, "LOW_RANK_LAYERS")]
    known = list(dict.fromkeys(name for block in blocks for name in block.LOW_RANK_LAYERS))
    if not known:
        raise ValueError("this network has no layers for low-rank updates: fine-tune with method 'full' or 'heads'")
    names = known if setup.target_modules is None else list(setup.target_modules)
    if not names or not set(names) <= set(known):
        raise ValueError(f"target_modules must be some of {known}, got {names}")
    return [(block, name) for block in blocks for name in block.LOW_RANK_LAYERS if name in names]


def find_low_rank(module: nn.Module) -> LowRank | None:
    """The settings passed to :func:`add_low_rank`, or ``None`` if the module has no low-rank updates."""
    found = {name.split(".")[-1]: layer for name, layer in module.named_modules() if isinstance(layer, LowRankLinear)}
    for layer in found.values():
        return LowRank(layer.rank, layer.alpha, tuple(found))
    return None


def merge_low_rank(module: nn.Module) -> None:
    """Replace all layers with low-rank updates inside a module by plain linear layers, in place."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, LowRankLinear):
                setattr(parent, name, child.merged())
