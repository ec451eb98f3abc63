"""Fine-tuning: which part of a trained model is trained on a new dataset, and what happens to its targets.

Source: PET-MAD paper, section IV.E (low-rank updates of attention, rank 8, scaling 0.5).
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Optional

import torch
from torch import nn

from electrain.nn.low_rank import LowRank, LowRankLinear, add_low_rank, layers_to_update, merge_low_rank

METHODS = ("full", "lora", "heads")


class Strategy(NamedTuple):
    """The method of fine-tuning, and the updates of ``lora`` in attention blocks (``None`` for other methods)."""

    method: str = "full"
    low_rank: Optional[LowRank] = None


def read_strategy(settings: Optional[Mapping[str, Any]]) -> Strategy:
    """Read the strategy from ``training.finetune``; without it, all parameters are trained.

    :raises ValueError: for an unknown method, or options that the method does not have.
    """
    if settings is None:
        return Strategy()
    method = settings.get("method", "full")
    if method not in METHODS:
        raise ValueError(f"the method of fine-tuning must be one of {list(METHODS)}, got {method!r}")
    config = dict(settings.get("config", {}))
    if method != "lora":
        if config:
            raise ValueError(
                f"`finetune.config` has the options of the method 'lora', but the method is {method!r}: set "
                "`method: lora`, or remove `config`"
            )
        return Strategy(method)
    unknown = sorted(set(config) - set(LowRank._fields))
    if unknown:
        raise ValueError(f"unknown option(s) {unknown} in `finetune.config`; expected some of {LowRank._fields}")
    if "target_modules" in config:
        config["target_modules"] = tuple(config["target_modules"])
    return Strategy(method, LowRank(**config))


def check_finetuning(model: Any, strategy: Strategy, inherit_heads: Mapping[str, str]) -> None:
    """Check what :func:`start_finetuning` will do, before anything is computed.

    :param model: see there.
    :raises ValueError: for targets that do not exist or do not match, or an invalid low-rank update.
    """
    for target, source in inherit_heads.items():
        check_inherited(model, target, source)
    if strategy.low_rank is not None:
        layers_to_update(model.network, strategy.low_rank)


def start_finetuning(model: Any, strategy: Strategy, inherit_heads: Mapping[str, str]) -> None:
    """Prepare a model that was restarted on a new dataset for training on it.

    Heads are inherited, targets that would become meaningless are dropped, low-rank updates are added and the other
    parameters are frozen.

    :param model: has ``network``, ``new_targets`` and ``absent_targets``, ``head``, ``remove_output``,
        ``dataset_info`` and ``scaler``. The scales of new targets are fitted.
    :param inherit_heads: new target -> target of the trained model.
    :raises ValueError: for targets that do not exist or do not match, or an invalid low-rank update.
    """
    for target, source in inherit_heads.items():
        inherit_head(model, target, source)
    if strategy.method != "heads":
        drop_absent_targets(model, strategy.method)
    merge_low_rank(model.network)
    if strategy.low_rank is not None:
        add_low_rank(model.network, strategy.low_rank)
    train_only(model, parameters_to_train(model, strategy))
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    total = sum(parameter.numel() for parameter in model.parameters())
    logging.info(
        f"Fine-tuning ({strategy.method}): {trained} of {total} parameters are trained ({trained / total:.2%})"
    )


def continue_training(model: Any, names: list[str]) -> None:
    """After a restart: train the parameters with the given names, and the heads of targets added since."""
    known = dict(model.named_parameters())
    new = [parameter for target in model.new_targets for parameter in model.head(target).parameters()]
    train_only(model, [*(known[name] for name in names), *new])


def check_same_strategy(checkpoint: Strategy, options: Strategy) -> None:
    """Raise a ``ValueError`` if the strategy of a restart differs from that of its checkpoint."""
    if checkpoint != options:
        raise ValueError(
            f"the training to restart is fine-tuning with {_describe(checkpoint)}, but `finetune` in the options "
            f"requests {_describe(options)}; to start a new fine-tuning, put the checkpoint into `finetune.read_from` "
            "and leave out `--restart`"
        )


def _describe(strategy: Strategy) -> str:
    if strategy.low_rank is None:
        return repr(strategy.method)
    rank, alpha, modules = strategy.low_rank
    layers = "all layers" if modules is None else ", ".join(modules)
    return f"{strategy.method!r} (rank {rank}, alpha {alpha:g}, {layers})"


def parameters_to_train(model: Any, strategy: Strategy) -> list[nn.Parameter]:
    """Return all parameters (``full``), those of the heads of the dataset's targets (``heads``), or low-rank updates.

    ``lora`` also trains parts that low-rank updates cannot train: heads of new targets, and the networks that read the
    density of states, whose gradients do not reach it.
    """
    if strategy.method == "full":
        return list(model.parameters())
    heads = _dataset_targets(model)
    if strategy.method == "lora":
        heads = [target for target in heads if target in model.new_targets or target in model.spectrum_heads]
    chosen = [parameter for target in heads for parameter in model.head(target).parameters()]
    for module in model.modules():
        if isinstance(module, LowRankLinear):
            chosen += [module.low_rank_a, module.low_rank_b]
    return chosen


def train_only(model: nn.Module, parameters: Iterable[nn.Parameter]) -> None:
    """Freeze all parameters but the given ones."""
    chosen = {id(parameter) for parameter in parameters}
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in chosen)


def trained_parameters(model: nn.Module) -> list[str]:
    """Return the names of the parameters that are not frozen."""
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def drop_absent_targets(model: Any, method: str) -> None:
    """Drop the targets that the new dataset lacks, because changed features no longer match their heads.

    A spectrum stays, untrained, if the dataset has a target that is read from it.
    """
    read = {target: model.read_from[target] for target in _dataset_targets(model) if target in model.read_from}
    kept = [target for target in model.absent_targets if target in read.values()]
    dropped = [target for target in model.absent_targets if target not in kept]
    for target in dropped:
        model.remove_output(target)
    model.absent_targets = kept
    if dropped:
        logging.warning(
            f"The new dataset lacks the targets {dropped}; fine-tuning with method {method!r} changes the features "
            "that their heads read, so they are dropped from the model (method 'heads' keeps them)"
        )
    if kept:
        logging.warning(
            f"The new dataset lacks {kept}, from which {list(read)} are read; it stays in the model, but its head is "
            "not trained although the features change"
        )


def _dataset_targets(model: Any) -> list[str]:
    return [target for target in model.dataset_info.targets if target not in model.absent_targets]


def inherit_head(model: Any, target: str, source: str) -> None:
    """Start the head of a new target as a copy of a trained head, with the same scale.

    :raises ValueError: as for :func:`check_inherited`.
    """
    check_inherited(model, target, source)
    model.head(target).load_state_dict(model.head(source).state_dict())
    if source in model.scaler.outputs:
        _inherit_scale(model.scaler, target, source)
    logging.info(f"The head of {target!r} starts as a copy of that of {source!r}")


def check_inherited(model: Any, target: str, source: str) -> None:
    """Check that the head of a target can start as a copy of another one.

    :raises ValueError: if the first target is not new, the second is not known, or their shapes differ.
    """
    infos = model.dataset_info.targets
    known = [name for name in infos if name not in model.new_targets]
    if target not in model.new_targets:
        raise ValueError(
            f"`inherit_heads: {{{target}: {source}}}` is for new targets of the dataset, which are "
            f"{model.new_targets}; {target!r} is {'known to the trained model' if target in known else 'none of them'}"
        )
    if source not in known:
        raise ValueError(
            f"`inherit_heads: {{{target}: {source}}}` copies the head of a target that the trained model knows, "
            f"one of {known}; {source!r} is not"
        )
    shapes = [_shape(infos[name], model.head(name)) for name in (target, source)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"`inherit_heads: {{{target}: {source}}}` needs targets and heads of the same shape, got "
            f"{_describe_shape(infos[target])} for {target!r} and {_describe_shape(infos[source])} for {source!r}"
        )


def _shape(info: Any, head: nn.Module) -> tuple[Any, ...]:
    blocks = [tuple(block.values.shape[1:]) for block in info.layout.blocks()]
    return info.sample_kind, blocks, {name: tuple(value.shape) for name, value in head.state_dict().items()}


def _describe_shape(info: Any) -> str:
    blocks = [list(block.values.shape[1:]) for block in info.layout.blocks()]
    return f"{blocks[0] if len(blocks) == 1 else blocks} values per {info.sample_kind}"


def _inherit_scale(scaler: Any, target: str, source: str) -> None:
    """Copy the scale as well: a head predicts in units of it, so the copy gives the same predictions only with it."""
    for maps, buffer in (
        (scaler.model.scales, "_scaler_buffer"),
        (scaler.model.per_target_scales, "_per_target_scaler_buffer"),
        (scaler.model.per_property_scales, "_per_property_scaler_buffer"),
    ):
        for block, other in zip(maps[target].blocks(), maps[source].blocks(), strict=True):
            block.values[:] = other.values
        saved = maps[target].to("cpu", torch.float64).save_buffer()
        scaler.register_buffer(target + buffer, saved.to(scaler.get_buffer(target + buffer).device))
