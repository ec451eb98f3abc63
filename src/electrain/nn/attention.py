"""The product of attention, in the fused implementation of torch where it has the gradients that are needed."""

import torch
from torch.nn import functional


def attend(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    bias: torch.Tensor,
    scale: float,
    dropout: float = 0.0,
) -> torch.Tensor:
    r"""Multi-head attention, :math:`\mathrm{softmax}(s\, Q K^T + b)\, V`.

    :param queries: (rows, heads, num_queries, head_width).
    :param keys: (rows, heads, length, head_width).
    :param values: (rows, heads, length, head_width).
    :param bias: (rows, 1, 1, length) added to the logits of each key; ``-inf`` for empty slots.
    :param scale: factor s of the products.
    :param dropout: share of the attention weights that is left out now; 0 outside of training.
    :return: (rows, num_queries, heads * head_width).
    """
    if bias.requires_grad or (queries.dtype == torch.bfloat16 and not queries.is_cuda):
        # Fused kernels give no gradient of the bias (forces) and no second derivative (training on forces); torch
        # then uses a slower implementation. On CPUs they are also slow in bfloat16.
        logits = torch.matmul(queries, (keys * scale).transpose(-2, -1)).to(bias.dtype) + bias
        weights = functional.dropout(logits.softmax(dim=-1), dropout, dropout > 0.0)
        mixed = torch.matmul(weights.to(values.dtype), values)
    else:
        mask = bias.to(queries.dtype)
        mixed = functional.scaled_dot_product_attention(
            queries, keys, values, attn_mask=mask, dropout_p=dropout, scale=scale
        )
    return mixed.transpose(1, 2).flatten(2)
