"""Optional lower precision for more speed."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

_ONE_THREAD = threading.RLock()

MATMUL_PRECISIONS = ("highest", "high", "medium")


def check_matmul_precision(precision: str) -> None:
    """Raise a ``ValueError`` for an unknown precision."""
    if precision not in MATMUL_PRECISIONS:
        raise ValueError(f"matmul_precision must be one of {', '.join(MATMUL_PRECISIONS)}, got {precision!r}")


def has_bfloat16_products(device: torch.device) -> bool:
    """Whether the device has instructions for matrix products in bfloat16."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


class MatmulPrecision:
    """Precision in which a float32 model computes while :meth:`in_use`; float64 models are not affected.

    * ``"highest"``: in float32.
    * ``"high"``: on GPUs, matrix products in TensorFloat-32 (10-bit mantissa); on CPUs like ``"highest"``.
    * ``"medium"``: on devices with instructions for it (GPUs from Ampere on, CPUs with AMX or AVX-512 BF16), tokens,
      the weights that act on them and matrix products in bfloat16 (7 bits). Geometry, sums over neighbors and
      atoms, and everything after them stay in float32. On other devices like ``"high"``.

    Sums inside a product, means and variances are always in float32. The names are those of
    ``torch.set_float32_matmul_precision``, a setting of the whole process.

    :param name: one of these.
    :param model: a model, exported or not, already on the device where it will run. Networks that can compute with
        tokens in bfloat16 have an attribute ``bfloat16_tokens``; for others only the process-wide setting is changed.
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
            # With bfloat16 products, this CPU kernel multiplies tiny blocks, which is ten times slower.
            self._attention.append(SDPBackend.FLASH_ATTENTION)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Use the precision inside a ``with`` block; afterwards the previous settings are restored.

        One thread at a time: others wait, because these are settings of the process and of the model.
        """
        with _ONE_THREAD:
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
