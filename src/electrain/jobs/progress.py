"""One progress bar for all long work."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def progress_bar(what: str, total: int, *, shown: bool = True) -> Iterator[Callable[[int], object]]:
    """Show how many structures are done, if the output is a terminal.

    :param what: label of the bar.
    :param total: number of structures.
    :param shown: whether to show the bar at all.
    :return: a function that takes the number of structures done since its last call.
    """
    # disable=None: no bar if the output is not a terminal
    with tqdm(total=total, desc=what, unit=" structures", disable=None if shown else True) as bar:
        yield bar.update
