"""Sizes of buckets: rows of similar length share one padded block, in which attention runs."""

# A bucket's longest row is at most this much longer than its shortest, so little attention is spent on padding ...
_BUCKET_RATIO = 1.1
# ... unless that would take more buckets than this.
_MAX_BUCKETS = 12


# A bucket takes about 15 kernels per attention layer. On a GPU it must save this many slots to be worth launching them.
_SLOTS_SAVED_ON_GPU = 3000


# Fused attention kernels on GPUs need rows that start at multiples of this number of elements; otherwise they fail
# ("misaligned address").
_ROW_ALIGNMENT_ON_GPU = 8


def bucket_limits(
    histogram: list[int], min_saved: int, ratio: float = _BUCKET_RATIO, max_buckets: int = _MAX_BUCKETS
) -> list[int]:
    """Longest row of each bucket, ascending, for ``histogram[n]`` rows of ``n`` tokens.

    Goes down from the longest row and closes a bucket where rows become shorter than its longest row by a fixed ratio,
    if that saves the remaining rows at least ``min_saved`` empty slots.
    """
    lengths: list[int] = []
    for length in range(len(histogram)):
        if histogram[length] > 0:
            lengths.append(length)
    if len(lengths) == 0:
        return lengths
    ratio = max(ratio, (lengths[-1] / lengths[0]) ** (1.0 / max_buckets))
    limits = [lengths[-1]]
    remaining = sum(histogram)
    for i in range(len(lengths) - 1, -1, -1):
        if lengths[i] * ratio < limits[-1] and remaining * (limits[-1] - lengths[i]) >= min_saved:
            limits.append(lengths[i])
        remaining -= histogram[lengths[i]]
    return limits[::-1]


def rounded_up(limits: list[int], multiple: int) -> list[int]:
    """Round limits up to multiples of a number, without repetition."""
    rounded: list[int] = []
    for limit in limits:
        length = (limit + multiple - 1) // multiple * multiple
        if len(rounded) == 0 or rounded[-1] != length:
            rounded.append(length)
    return rounded


def choose_rows(
    row_lengths: list[int],
    on_gpu: bool,
    saved_on_gpu: int = _SLOTS_SAVED_ON_GPU,
    alignment_on_gpu: int = _ROW_ALIGNMENT_ON_GPU,
) -> tuple[list[int], list[int]]:
    """Choose the number of rows of each bucket and their lengths, in ascending order.

    :param row_lengths: number of tokens in each row.
    :param on_gpu: whether few buckets with aligned rows are wanted.
    """
    if len(row_lengths) == 0:
        return [0], [1]  # one bucket nevertheless, which is empty
    longest = 0
    for length in row_lengths:
        longest = max(longest, length)
    histogram: list[int] = [0] * (longest + 1)
    for length in row_lengths:
        histogram[length] += 1
    limits = bucket_limits(histogram, saved_on_gpu if on_gpu else 0)
    if on_gpu:
        limits = rounded_up(limits, alignment_on_gpu)
    rows: list[int] = []
    shortest = 0
    for limit in limits:
        rows.append(sum(histogram[shortest : limit + 1]))
        shortest = limit + 1
    return rows, limits
