"""What metatrain's command line says at the end of a training that our code has refused."""

import logging
import sys

from metatrain.utils.errors import ArchitectureError
from metatrain.utils.pydantic import MetatrainValidationError


class OptionsError(MetatrainValidationError):
    """Options that are wrong, one line for each.

    It is no ``ValueError``, which pydantic would turn into an error of its own, with links to pages that do not exist.
    """

    def __init__(self, report: str) -> None:
        super().__init__(None, [])
        self.report = report

    def __str__(self) -> str:
        return self.report


class _OwnWords(logging.Filter):
    """Replaces metatrain's last words by the message of our own error.

    metatrain's ``main`` catches every exception and logs it below the advice to open an issue at metatrain. Errors of
    models and trainers have been wrapped before, in a text according to which they "most likely originate from an
    architecture". For a wrong option both are misleading, and there is no exception that ``main`` or ``train_model``
    would treat otherwise. ``SystemExit`` would pass both, but also end the Python of whoever calls ``train_model``, and
    leave nothing in the log. So exceptions stay what they are, and only that one log entry changes.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep every record; change that of the exception that is being handled."""
        error = sys.exc_info()[1]
        if record.levelno == logging.ERROR and error is not None and str(error) in record.getMessage():
            own = _own_words(error)
            if own is not None:
                record.msg, record.args = own, ()
        return True


_FILTER = _OwnWords()


def say_what_to_change() -> None:
    """From now on, let metatrain's command line show errors that we have raised as they are."""
    logging.getLogger().addFilter(_FILTER)  # once, however often it is called


def _own_words(error: BaseException | None) -> str | None:
    """Return the message of the error from which metatrain made this one, if it is about the user's input."""
    wrapped = isinstance(error, ArchitectureError)
    while error is not None:
        if isinstance(error, OptionsError | ValueError | FloatingPointError) and _is_ours(error):
            return str(error)
        if wrapped and isinstance(error, FileNotFoundError | IsADirectoryError | PermissionError):
            return f"cannot read {error.filename}, the checkpoint to start from: {error.strerror}"
        error = error.__cause__
    return None


def _is_ours(error: BaseException) -> bool:
    """Whether the error was raised by code of electrain."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and str(trace.tb_frame.f_globals.get("__name__")).split(".")[0] == "electrain"
