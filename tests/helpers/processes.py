"""Other processes that tests start, stop and kill."""

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def started(script, *arguments):
    """Start a script of this folder; its output and input are pipes of text."""
    command = [sys.executable, str(Path(__file__).with_name(script)), *map(str, arguments)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def go_on(process):
    """Let a process that waits go on to where it waits next."""
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout.readline()


def kill(process):
    """Send SIGKILL, which no process can catch."""
    process.kill()
    process.communicate()


def contents(folder):
    """Bytes of all files, with their places."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
