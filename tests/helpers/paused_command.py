"""The command line in a process of its own, which waits for a line from its input before each call of a function.

Arguments: what chunk size to set and to what, the function, and those of the command.
"""

import importlib
import sys

from electrain.cli import app


def found(name):
    module, _, attribute = name.rpartition(".")
    return importlib.import_module(module), attribute


def paused(function):
    def wait(*arguments, **options):
        print("waiting", flush=True)
        sys.stdin.readline()
        return function(*arguments, **options)

    return wait


if __name__ == "__main__":
    size, number, function, *arguments = sys.argv[1:]
    setattr(*found(size), int(number))
    module, name = found(function)
    setattr(module, name, paused(getattr(module, name)))
    app(arguments)
