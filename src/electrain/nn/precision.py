"""Fewer digits for more speed, on request."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

MATMUL_PRECISIONS = ("highest", "high", "medium")


def check_matmul_precision(precision: str) -> None:
    """Raise a ``ValueError`` for a name that :func:`use_matmul_precision` does not know."""
    if precision not in MATMUL_PRECISIONS:
        raise ValueError(f"matmul_precision must be one of {', '.join(MATMUL_PRECISIONS)}, got {precision!r}")


def has_bfloat16_products(device: torch.device) -> bool:
    """Whether the device has instructions to multiply matrices in bfloat16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class MatmulPrecision:
    """How a model in float32 computes while it is :meth:`in_use`; one in float64 stays as it is.

    * ``"highest"``: in float32.
    * ``"high"``: on GPUs, products of matrices in TensorFloat-32 (10 bits of mantissa); on CPUs as ``"highest"``.
    * ``"medium"``: on devices with instructions for it (GPUs since Ampere, CPUs with AMX or AVX-512 BF16), tokens,
      the weights that act on them and products of matrices in bfloat16 (7 bits). Geometry, sums over neighbors and
      atoms, and everything behind them stay in float32. On other devices as ``"high"``.

    Sums inside of a product, means and variances are always in float32. The names are those of
    ``torch.set_float32_matmul_precision``, a setting of the whole process.

    :param name: one of these.
    :param model: possibly exported, on the device where it stays. Networks that can compute with
        tokens in bfloat16 have an attribute ``bfloat16_tokens``; other models only get the setting of the process.
    :raises ValueError: for another name.
    """

    def __init__(self, name: str, model: torch.nn.Module) -> None:
        check_matmul_precision(name)
        self.name = name
        self._networks: list[Any] = [module for module in model.modules() if hasattr(module, "bfloat16_tokens")]
        parameter = next(model.parameters(), torch.zeros(0))
        self._bfloat16 = (
            name == "medium" and parameter.dtype == torch.float32 and has_bfloat16_products(parameter.device)
        )
        self._attention = [SDPBackend.MATH, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION]
        if not self._bfloat16 or parameter.is_cuda:
            # With bfloat16 products this kernel of CPUs multiplies tiny blocks, for which they are ten times slower.
            self._attention.append(SDPBackend.FLASH_ATTENTION)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """For the duration of a ``with`` block; what was before comes back."""
        former_name = torch.get_float32_matmul_precision()
        former_tokens = [network.bfloat16_tokens for network in self._networks]
        torch.set_float32_matmul_precision(self.name)
        for network in self._networks:
            network.bfloat16_tokens = self._bfloat16
        try:
            with sdpa_kernel(self._attention):
                yield
        finally:
            torch.set_float32_matmul_precision(former_name)
            for network, tokens in zip(self._networks, former_tokens, strict=True):
                network.bfloat16_tokens = tokens
