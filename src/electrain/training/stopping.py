"""Stopping at a safe point when a user or a batch system asks for it."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Optional

# Ctrl-C; what batch systems send before they kill, and what they can send some time before that
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name))


class StopTraining(Exception):
    """Some process was asked to stop, and all of them do.

    :param exit_code: exit code with which this process is to end.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"stop with exit code {exit_code}")
        self.exit_code = exit_code


class StopRequest:
    """The signal that asked this process to stop, if any."""

    def __init__(self) -> None:
        self.signal: Optional[int] = None

    @property
    def name(self) -> str:
        """Name of the signal; SIGTERM if another process was asked."""
        return signal.Signals(self.signal or signal.SIGTERM).name

    @property
    def exit_code(self) -> int:
        """Exit code of a process that ends because of it, as shells have it."""
        return 128 + (self.signal or signal.SIGTERM)


@contextmanager
def noticing_signals(announced: bool) -> Iterator[StopRequest]:
    """Note Ctrl-C, SIGTERM and SIGUSR1 instead of ending at once; a second Ctrl-C ends at once.

    Only the main thread can do so; elsewhere nothing is changed.

    :param announced: whether to say that the process is going to stop.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    own_process = os.getpid()

    def note(number: int, frame: Optional[FrameType]) -> None:
        if request.signal is not None and number == signal.SIGINT:
            signal.default_int_handler(number, frame)
        if request.signal is None and announced and os.getpid() == own_process:
            # not with `print`, which may be what the signal has interrupted
            os.write(2, b"\nStopping at the next safe point; press Ctrl-C (again) to stop at once.\n")
        request.signal = request.signal or number

    previous = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
