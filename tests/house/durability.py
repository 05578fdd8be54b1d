"""The rule that every LMDB environment syncs its commits, read from the source alone.

SIGKILL leaves the kernel's page cache alone, so no kill test can miss an fsync; this rule does. It takes no
chances: an environment may be opened by calling `lmdb.open` or `lmdb.Environment` by that name, with every
option by keyword, and the options that decide about syncing must be the safe constants.
"""

from __future__ import annotations

import ast
import re

OPENERS = frozenset({"open", "Environment"})
# What each option must be; the first two are asked for by name in shipped code, though they are the default.
SAFE = {"sync": True, "metasync": True, "writemap": False, "map_async": False}
NAMED = frozenset({"sync", "metasync"})
SHIPPED = ("cli/", "node/", "protocol/", "storage/")
# Assembled, so that this file passes its own check.
FLAGS = re.compile(r"\bMDB_(?:" + "|".join(("NO" + "SYNC", "NOMETA" + "SYNC", "MAP" + "ASYNC")) + r")\b")


def sync_complaints(path: str, source: str) -> list[str]:
    """Environments that are, or might be, opened without sync."""
    tree = ast.parse(source)
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    complaints = [
        f"{path}:{number}: {found[0]}: a commit must be on disk before it is acknowledged"
        for number, line in enumerate(source.splitlines(), 1)
        for found in FLAGS.finditer(line)
    ]
    for node in ast.walk(tree):
        complaints += [f"{path}:{getattr(node, 'lineno', 0)}: {said}" for said in _judge(node, called, path)]
    return complaints


def _judge(node: ast.AST, called: set[int], path: str) -> list[str]:
    if isinstance(node, ast.ImportFrom) and node.module == "lmdb":
        taken = [alias.name for alias in node.names if alias.name in OPENERS | {"*"}]
        return [f"imports {name} from lmdb; write lmdb.{name}, so that this check sees it" for name in taken]
    if isinstance(node, ast.Import):
        hidden = [alias.asname for alias in node.names if alias.name == "lmdb" and alias.asname]
        return [f"calls lmdb {name}; call it lmdb, so that this check sees it" for name in hidden]
    if isinstance(node, ast.Attribute) and _opens(node) and id(node) not in called and not _is_type(node):
        return ["hands lmdb.open on; call it where it stands, so that this check sees its options"]
    if isinstance(node, ast.Call) and _opens(node.func):
        return _judge_call(node, path)
    return []


def _opens(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and node.attr in OPENERS
        and isinstance(node.value, ast.Name)
        and node.value.id == "lmdb"
    )


def _is_type(node: ast.Attribute) -> bool:
    """Whether it can only be an annotation: the class named where nothing is opened."""
    return node.attr == "Environment"


def _judge_call(call: ast.Call, path: str) -> list[str]:
    said = []
    if len(call.args) > 1 or any(isinstance(argument, ast.Starred) for argument in call.args):
        said.append("give every option of an environment by keyword")
    options = {keyword.arg: keyword.value for keyword in call.keywords}
    if None in options:
        said.append("options of an environment in ** cannot be checked; write them out")
    for name, safe in SAFE.items():
        value = options.get(name)
        if value is None:
            if name in NAMED and path.startswith(SHIPPED):
                said.append(f"an environment is opened without saying {name}={safe}")
        elif not (isinstance(value, ast.Constant) and value.value is safe):
            said.append(f"an environment is opened with {name}={ast.unparse(value)}; it must be {safe}")
    return said
