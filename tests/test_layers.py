"""The layers of the source code: imports go one way, files stay short."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "electrain"
FILES = sorted(SOURCE.rglob("*.py"))
MAX_LINES = 350
# What each package may import from electrain, all of it; `cli` may import everything.
MAY_IMPORT: dict[str, set[str]] = {
    # tensors and files alone
    "spectra": set(),
    "nn": set(),
    "structures": set(),
    "interface": {"spectra", "nn"},
    "files": {"interface", "spectra"},
    "jobs": {"files"},
    "pretrained": {"interface", "files"},
    "bands": {"spectra", "structures"},
    "plots": {"bands"},
    # learning
    "training": {"spectra", "nn", "interface", "files"},
    "uncertainty": {"spectra", "nn", "interface"},
    "architectures": {"spectra", "nn", "interface", "files", "pretrained", "training", "uncertainty"},
    # data sets
    "data": {"spectra", "bands", "nn", "interface", "files", "jobs", "pretrained", "structures", "plots"},
    # exported models at work
    "results": {"spectra", "bands", "interface", "files", "structures", "plots"},
    "calculators": {"spectra", "bands", "nn", "interface", "files", "pretrained", "structures", "results"},
    "thermodynamics": {"spectra", "files", "structures", "plots", "results"},
    "evaluation": {
        "spectra",
        "bands",
        "nn",
        "interface",
        "files",
        "jobs",
        "pretrained",
        "structures",
        "plots",
        "data",
        "results",
        "calculators",
    },
    "demo": {"spectra", "interface", "files", "data", "calculators", "evaluation", "plots", "pretrained", "results"},
}
# Beside these, the standard library and the package itself
ALLOWED = {
    "spectra": {"torch", "numpy", "scipy"},
    "nn": {"torch"},
}
# Inside of `architectures`, every architecture imports `base` and itself, `base` itself alone.
ARCHITECTURES = sorted(path.name for path in (SOURCE / "architectures").iterdir() if (path / "__init__.py").exists())
TOP_LEVEL = {"__init__.py", "__main__.py", "py.typed"}


def module_of(path: Path) -> list[str]:
    """Dotted name of a file, as a list; packages end with their own name."""
    parts = ["electrain", *path.relative_to(SOURCE).with_suffix("").parts]
    return parts[:-1] if parts[-1] == "__init__" else parts


def without_type_checking(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those below `if TYPE_CHECKING:`, which never run."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for other in node.orelse:
                yield other
                yield from without_type_checking(other)
            continue
        yield node
        yield from without_type_checking(node)


def imports_of(path: Path, *, with_types: bool = False) -> set[str]:
    """Full dotted names of everything a file imports anywhere, inside functions, too; for types alone if asked for."""
    module = module_of(path)
    package = module if path.name == "__init__.py" else module[:-1]
    names: set[str] = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if with_types else without_type_checking(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            prefix = ".".join([*base, *([node.module] if node.module else [])])
            names.add(prefix)
            names.update(f"{prefix}.{alias.name}" for alias in node.names)
    return names


def layer(name: str) -> str | None:
    """First part below electrain: `electrain.nn.batch` -> `nn`."""
    parts = name.split(".")
    if parts[0] != "electrain" or len(parts) < 2:
        return None
    return parts[1] if (SOURCE / parts[1]).is_dir() or (SOURCE / f"{parts[1]}.py").is_file() else None


def edges() -> dict[str, set[str]]:
    """Which layer imports which others."""
    graph: dict[str, set[str]] = {}
    for path in FILES:
        own = layer(".".join(module_of(path)))
        if own is None:
            continue
        others = {layer(name) for name in imports_of(path)} - {None, own}
        graph.setdefault(own, set()).update(others)
    return graph


def test_the_reader_of_imports(tmp_path, monkeypatch):
    """All forms of imports are seen, also relative ones and those inside functions."""
    root = tmp_path / "electrain"
    (root / "nn").mkdir(parents=True)
    (root / "data").mkdir()
    monkeypatch.setattr(sys.modules[__name__], "SOURCE", root)
    file = root / "nn" / "network.py"
    file.write_text("import torch.nn as nn\nfrom .batch import Batch\nfrom ..data import x\ndef f():\n  import ase\n")
    with file.open("a") as text:
        text.write("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n  import never\nelse:\n  import always\n")
    names = imports_of(file)
    assert {"torch.nn", "electrain.nn.batch.Batch", "electrain.data.x", "ase", "always"} <= names
    assert "never" not in names
    assert {layer(name) for name in names} == {None, "nn", "data"}
    package = root / "data" / "__init__.py"
    package.write_text("from . import readers\nfrom .. import nn\n")
    assert {"electrain.data.readers", "electrain.nn"} <= imports_of(package)


@pytest.mark.parametrize("package", ALLOWED)
def test_kernels_import_tensors_only(package):
    allowed = ALLOWED[package] | set(sys.stdlib_module_names)
    found = 0
    for path in sorted((SOURCE / package).rglob("*.py")):
        for name in imports_of(path):
            top = name.split(".")[0]
            found += top == "torch"
            if top == "electrain":
                assert layer(name) == package, f"{path} imports {name}"
            else:
                assert top in allowed, f"{path} imports {name}"
    assert found > 0


def test_imports_go_one_way():
    graph = edges()
    assert set(graph) - {"cli", "__main__"} == set(MAY_IMPORT)
    for package, others in MAY_IMPORT.items():
        assert graph[package] <= others, f"{package} must not import {sorted(graph[package] - others)}"


def test_the_list_has_no_circle():
    """Remove packages that may import none of the remaining ones until nothing is left."""
    graph = dict(MAY_IMPORT)
    while graph:
        leaves = {name for name, others in graph.items() if not others & set(graph)}
        assert leaves, f"circle among {sorted(graph)}"
        graph = {name: others for name, others in graph.items() if name not in leaves}


def test_no_file_imports_itself_through_others():
    """Also not for types alone."""
    files = {".".join(module_of(path)): path for path in FILES}
    graph = {
        name: {other for other in imports_of(path, with_types=True) if other in files and other != name}
        for name, path in files.items()
        if path.name != "__init__.py"  # they only hand names on
    }
    while graph:
        leaves = {name for name, others in graph.items() if not others & set(graph)}
        assert leaves, f"circle among {sorted(graph)}"
        graph = {name: others for name, others in graph.items() if name not in leaves}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_architectures_know_only_themselves_and_their_base(architecture):
    root = f"electrain.architectures.{architecture}"
    for path in (SOURCE / "architectures" / architecture).rglob("*.py"):
        for name in imports_of(path):
            if name.startswith("electrain.architectures."):
                assert name.startswith((root, "electrain.architectures.base")), f"{path} imports {name}"


def test_nothing_lies_loose():
    assert {path.name for path in SOURCE.iterdir() if path.is_file()} <= TOP_LEVEL


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_are_short(path):
    num_lines = len(path.read_text(encoding="utf-8").splitlines())
    assert num_lines <= MAX_LINES, f"{path} has {num_lines} lines"
