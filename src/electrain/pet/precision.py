"""Faster matrix products with fewer digits, on request."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

MATMUL_PRECISIONS = ("highest", "high", "medium")


def check_matmul_precision(precision: str) -> None:
    """Raise a ``ValueError`` for a name that :func:`use_matmul_precision` does not know."""
    if precision not in MATMUL_PRECISIONS:
        raise ValueError(f"matmul_precision must be one of {', '.join(MATMUL_PRECISIONS)}, got {precision!r}")


def has_bfloat16_products() -> bool:
    """Whether the processor multiplies float32 matrices in bfloat16 when asked for ``"medium"``."""
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@contextmanager
def use_matmul_precision(precision: str) -> Iterator[None]:
    """How products of float32 matrices are computed inside of a ``with`` block; float64 stays as it is.

    * ``"highest"``: in float32.
    * ``"high"``: on GPUs in TensorFloat-32 (10 bits of mantissa); on CPUs in float32.
    * ``"medium"``: on CPUs in bfloat16 (7 bits) if they have instructions for it (AMX or AVX-512 BF16); on GPUs as
      ``"high"``.

    Sums inside of a product are in float32, and so is everything else. The names are those of
    ``torch.set_float32_matmul_precision``. The setting is one of the whole process; the former one comes back.

    :raises ValueError: for another precision.
    """
    check_matmul_precision(precision)
    former = torch.get_float32_matmul_precision()
    attention = [SDPBackend.MATH, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION]
    if precision != "medium" or not has_bfloat16_products():
        # With bfloat16 products this kernel of CPUs multiplies tiny blocks, for which they are ten times slower; on
        # GPUs it does not take float32 anyway.
        attention.append(SDPBackend.FLASH_ATTENTION)
    torch.set_float32_matmul_precision(precision)
    try:
        with sdpa_kernel(attention):
            yield
    finally:
        torch.set_float32_matmul_precision(former)
