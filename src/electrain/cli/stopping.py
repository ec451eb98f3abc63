"""Commands that are stopped by Ctrl-C or by a signal that asks a process to end: they clean up and say so."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

# What batch systems and `timeout` send, and what remains of a closed terminal unless `nohup` ignores it.
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """A signal asked the process to end. Code that cleans up after Ctrl-C does so after this, too.

    :param number: number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def exit_status(error: KeyboardInterrupt) -> int:
    """Return the exit status that shells report for the signal: 130 after Ctrl-C, 143 after SIGTERM."""
    return 128 + (error.number if isinstance(error, Stopped) else signal.SIGINT)


@contextlib.contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Raise :class:`Stopped` when a signal asks this process to end."""
    if threading.current_thread() is not threading.main_thread():  # where Python forbids it
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    # `timeout` sends it twice, and the second one must not interrupt the cleaning up.
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise Stopped(number)
