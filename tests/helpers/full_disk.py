"""A limit on the size of files, which every write beyond it hits as it would hit a full disk."""

import resource
from contextlib import contextmanager


@contextmanager
def files_up_to(size):
    """Let no file grow beyond a number of bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
