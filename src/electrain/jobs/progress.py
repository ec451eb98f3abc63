"""One progress bar for all long work."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def progress_bar(what: str, total: int, *, shown: bool = True) -> Iterator[Callable[[int], object]]:
    """Show how many structures are done, on a terminal; nothing is shown where nobody is watching.

    :param what: stands before the bar.
    :param total: number of structures.
    :param shown: whether to show it at all.
    :return: a function that takes the number of structures that were done since its last call.
    """
    # disable=None: no bar where nobody is watching
    with tqdm(total=total, desc=what, unit=" structures", disable=None if shown else True) as bar:
        yield bar.update
