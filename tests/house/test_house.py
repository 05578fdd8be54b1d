"""The house rules, applied to every file; and each rule applied to bad input that it must catch."""

from __future__ import annotations

from collections.abc import Callable
from configparser import ConfigParser
from typing import NamedTuple

import pytest

from tests.house import durability, imports, style, tree

Check = Callable[[str, str], list[str]]

ON_PYTHON: tuple[Check, ...] = (
    imports.layer_complaints,
    imports.ban_complaints,
    imports.actor_complaints,
    style.file_length_complaints,
    style.function_length_complaints,
    style.sleep_complaints,
    durability.sync_complaints,
)
ON_TEXT: tuple[Check, ...] = (style.mark_complaints, style.machine_path_complaints)


@pytest.mark.parametrize("check", ON_PYTHON, ids=lambda check: check.__name__)
def test_every_python_file_keeps_the_rule(check: Check) -> None:
    paths = tree.python_files()
    assert len(paths) > 20, "the walk found hardly any files: it looked in the wrong place"
    assert [complaint for path in paths for complaint in check(path, tree.read(path))] == []


@pytest.mark.parametrize("check", ON_TEXT, ids=lambda check: check.__name__)
def test_every_text_file_keeps_the_rule(check: Check) -> None:
    paths = tree.text_files()
    assert {"README.md", "Makefile", "setup.cfg", ".ci/run", "protocol/limits.py"} <= set(paths)
    assert [complaint for path in paths for complaint in check(path, tree.read(path))] == []


class Planted(NamedTuple):
    """A file that breaks a rule, or one that nearly does."""

    check: Check
    path: str
    source: str
    caught: bool


BODY = "    x = 1\n"
SAFE = "import lmdb\nlmdb.open(path, sync=True, metasync=True)"
PLANTED = [
    Planted(imports.layer_complaints, "protocol/a.py", "from folkmoot.node import config", True),
    Planted(imports.layer_complaints, "storage/a.py", "import folkmoot.cli.main", True),
    Planted(imports.layer_complaints, "node/a.py", "from folkmoot import cli", True),
    Planted(imports.layer_complaints, "node/a.py", "def f():\n    from folkmoot.tests import waiting", True),
    Planted(imports.layer_complaints, "protocol/crdt/a.py", "from ..limits import MIB", True),
    Planted(imports.layer_complaints, "node/a.py", "from folkmoot.protocol import limits", False),
    Planted(imports.layer_complaints, "cli/a.py", "import folkmoot.node.daemon, folkmoot.configs", False),
    Planted(imports.layer_complaints, "storage/a.py", "import folkmoot.protocolish", True),
    Planted(imports.ban_complaints, "protocol/a.py", "import time", True),
    Planted(imports.ban_complaints, "protocol/a.py", "import random", True),
    Planted(imports.ban_complaints, "protocol/a.py", "from random import random", True),
    Planted(imports.ban_complaints, "protocol/a.py", "from random import Random", False),
    Planted(imports.ban_complaints, "protocol/a.py", "from os import urandom", True),
    Planted(imports.ban_complaints, "protocol/a.py", "from nacl import utils", True),
    Planted(imports.ban_complaints, "protocol/a.py", "import os.path", True),
    Planted(imports.ban_complaints, "protocol/ring/a.py", "import trio", True),
    Planted(imports.ban_complaints, "protocol/client/a.py", "import trio", False),
    Planted(imports.ban_complaints, "protocol/a.py", "import timeit_like", False),
    Planted(imports.ban_complaints, "node/actors/a.py", "import uuid", True),
    Planted(imports.ban_complaints, "node/transport/tcp.py", "import socket", False),
    Planted(imports.ban_complaints, "storage/a.py", "import trio", True),
    Planted(imports.ban_complaints, "node/a.py", "import msgpack", True),
    Planted(imports.ban_complaints, "cli/a.py", "import lmdb", True),
    Planted(imports.actor_complaints, "node/actors/a.py", "from folkmoot.node.actors.b import B", True),
    Planted(imports.actor_complaints, "node/actors/a.py", "from folkmoot.node.actors import b", True),
    Planted(imports.actor_complaints, "node/actors/a.py", "from folkmoot.node.mailbox import M", False),
    Planted(imports.actor_complaints, "node/daemon.py", "from folkmoot.node.actors import a", False),
    Planted(style.file_length_complaints, "node/a.py", "\n" * 401, True),
    Planted(style.file_length_complaints, "node/a.py", "\n" * 400, False),
    Planted(style.function_length_complaints, "node/a.py", "def f():\n" + BODY * 50, True),
    Planted(style.function_length_complaints, "node/a.py", "async def f():\n" + BODY * 50, True),
    Planted(style.function_length_complaints, "node/a.py", "def f():\n" + BODY * 49, False),
    Planted(style.sleep_complaints, "tests/a.py", "time.sleep(0.1)", True),
    Planted(style.sleep_complaints, "tests/a.py", "async def f():\n    await trio.sleep(1)", True),
    Planted(style.sleep_complaints, "tests/a.py", "async def f():\n    await trio.sleep(0)", False),
    Planted(style.sleep_complaints, "tests/a.py", "async def f(mock_clock):\n    await trio.sleep(1)", False),
    Planted(style.sleep_complaints, "tests/a.py", "def f(mock_clock):\n    time.sleep(1)", True),
    Planted(style.sleep_complaints, "node/a.py", "trio.sleep(1)", False),
    Planted(durability.sync_complaints, "storage/a.py", SAFE, False),
    Planted(durability.sync_complaints, "storage/a.py", SAFE.replace("sync=True", "sync=False", 1), True),
    Planted(
        durability.sync_complaints, "storage/a.py", SAFE.replace("metasync=True", "metasync=False"), True
    ),
    Planted(durability.sync_complaints, "storage/a.py", SAFE.replace("sync=True", "sync=fast", 1), True),
    Planted(durability.sync_complaints, "storage/a.py", SAFE.replace(", metasync=True", ""), True),
    Planted(durability.sync_complaints, "storage/a.py", SAFE.replace(")", ", writemap=True)"), True),
    Planted(durability.sync_complaints, "storage/a.py", SAFE.replace(")", ", map_async=True)"), True),
    Planted(durability.sync_complaints, "storage/a.py", SAFE.replace(")", ", **more)"), True),
    Planted(durability.sync_complaints, "node/a.py", "import lmdb\nlmdb.Environment(p, 1 << 30)", True),
    Planted(durability.sync_complaints, "tests/a.py", "import lmdb\nlmdb.open(path, map_size=1)", False),
    Planted(durability.sync_complaints, "tests/a.py", "import lmdb\nlmdb.open(path, sync=False)", True),
    Planted(durability.sync_complaints, "cli/a.py", "from lmdb import open", True),
    Planted(durability.sync_complaints, "cli/a.py", "import lmdb as store", True),
    Planted(durability.sync_complaints, "cli/a.py", "import lmdb\nopener = lmdb.open", True),
    Planted(durability.sync_complaints, "cli/a.py", "import lmdb\ndef f(e: lmdb.Environment): ...", False),
    Planted(durability.sync_complaints, "cli/a.py", "flags = 'MDB_" + "NOSYNC'", True),
    Planted(style.mark_complaints, "docs/a.md", "words\n" + "TO" + "DO: the rest", True),
    Planted(style.mark_complaints, "docs/a.md", "a todo list", False),
    Planted(style.machine_path_complaints, "docs/a.md", "see /" + "home/somebody/notes", True),
    Planted(style.machine_path_complaints, "docs/a.md", "kept in /" + "tmp/abc", True),
    Planted(style.machine_path_complaints, "docs/a.md", "/var/lib/folkmoot and a/home/b", False),
]


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.check.__name__)
def test_each_rule_catches_what_breaks_it_and_nothing_else(planted: Planted) -> None:
    complaints = planted.check(planted.path, planted.source)
    assert bool(complaints) == planted.caught, complaints
    assert all(complaint.startswith(planted.path) for complaint in complaints)


def test_every_rule_is_planted() -> None:
    for check in (*ON_PYTHON, *ON_TEXT):
        outcomes = {planted.caught for planted in PLANTED if planted.check is check}
        assert outcomes == {True, False}, check.__name__


def listed_packages(setup_cfg: str) -> list[str]:
    """The packages that `setup.cfg` installs."""
    config = ConfigParser()
    config.read_string(setup_cfg)
    return config["options"]["packages"].split()


def test_the_package_list_is_the_tree() -> None:
    assert listed_packages(tree.read("setup.cfg")) == sorted(tree.packages_on_disk())


@pytest.mark.parametrize("times", [0, 2])
def test_a_package_that_is_forgotten_or_listed_twice_would_be_seen(times: int) -> None:
    line = "    folkmoot.protocol.crdt\n"
    changed = tree.read("setup.cfg").replace(line, line * times)
    assert listed_packages(changed) != sorted(tree.packages_on_disk())


def test_every_package_folder_says_that_it_is_typed() -> None:
    folders = [folder for folder in tree.PACKAGE_FOLDERS if not (tree.ROOT / folder / "py.typed").exists()]
    assert folders == []


def test_every_package_has_its_init_file() -> None:
    packages = sorted(tree.packages_on_disk())
    folders = [package.removeprefix("folkmoot.").replace(".", "/") for package in packages]
    assert [folder for folder in folders if not (tree.ROOT / folder / "__init__.py").exists()] == []
