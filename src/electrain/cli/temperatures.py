"""Temperatures on the command line."""

import math


def read_temperatures(text: str) -> list[float]:
    """Read temperatures in K, ``300:2000:100`` or ``300,600,900``.

    :raises ValueError: for anything else, and for more than 2,000; what is too cold depends on what they are for.
    """
    from electrain.thermodynamics.average import MAX_TEMPERATURES

    expected = (
        "expected temperatures such as 300:2000:100 (from the first up to the last, in steps) or 300,600,900 in K, "
        f"got {text!r}"
    )
    try:
        numbers = [float(part) for part in text.replace(",", ":").split(":")]
    except ValueError:
        raise ValueError(expected) from None
    if ":" in text:
        if "," in text or len(numbers) != 3 or not (numbers[2] > 0 and numbers[0] <= numbers[1] < math.inf):
            raise ValueError(expected)
        first, last, step = numbers
        count = (last - first) / step + 1e-9
        if count >= MAX_TEMPERATURES:
            raise ValueError(f"expected at most {MAX_TEMPERATURES:,} temperatures, got {text}: choose a larger step")
        numbers = [first + step * index for index in range(int(count) + 1)]
    if len(numbers) > MAX_TEMPERATURES:
        raise ValueError(f"expected 1 to {MAX_TEMPERATURES:,} temperatures, got {len(numbers):,}")
    return numbers
