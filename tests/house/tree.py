"""The checkout as the house rules see it: which files there are, and what each one is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE_FOLDERS = ("cli", "configs", "node", "protocol", "storage")
NOT_OURS = {"__pycache__", "build", "dist", "node_modules"}
TEXT_SUFFIXES = {"", ".cfg", ".json", ".md", ".py", ".service", ".toml", ".yaml", ".yml"}


def files(suffixes: set[str]) -> Iterator[str]:
    """Paths relative to the root, with `/`, of the project's own files, in order."""
    for path in sorted(_walk(ROOT)):
        if path.suffix in suffixes:
            yield path.relative_to(ROOT).as_posix()


def python_files() -> list[str]:
    """Every Python file."""
    return list(files({".py"}))


def text_files() -> list[str]:
    """Every file that people read."""
    return list(files(TEXT_SUFFIXES))


def read(path: str) -> str:
    """The text of a file named relative to the root."""
    return (ROOT / path).read_text(encoding="utf-8")


def module_of(path: str) -> str:
    """The module a file is imported as: `protocol/crdt/cell.py` is `folkmoot.protocol.crdt.cell`."""
    return "folkmoot." + path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def packages_on_disk() -> set[str]:
    """Every folder under the packages' roots that holds a module."""
    return {
        module_of(str(Path(path).parent) + "/__init__.py")
        for path in python_files()
        if path.split("/")[0] in PACKAGE_FOLDERS
    }


def _walk(folder: Path) -> Iterator[Path]:
    for entry in folder.iterdir():
        if entry.is_symlink() or entry.name in NOT_OURS or entry.name.endswith(".egg-info"):
            continue
        if entry.is_dir():
            if not entry.name.startswith(".") or entry.name == ".ci":
                yield from _walk(entry)
        else:
            yield entry
