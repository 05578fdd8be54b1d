"""Rules about lengths, words and waiting, read from the source alone."""

from __future__ import annotations

import ast
import re

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 50
WAITING = "tests/waiting.py"
VIRTUAL_CLOCKS = {"autojump_clock", "mock_clock"}

# Assembled, so that this file passes its own check.
MARKS = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK")) + r")\b")
MACHINE_PATHS = re.compile(r"(?<![\w./<])/(?:home|root|Users|mnt|work|opt|tmp)/\w")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def file_length_complaints(path: str, source: str) -> list[str]:
    """Files that know too much."""
    lines = source.count("\n")
    if lines <= FILE_LINES_MAX:
        return []
    return [f"{path}: {lines} lines; a file over {FILE_LINES_MAX} wants a second room"]


def function_length_complaints(path: str, source: str) -> list[str]:
    """Functions that do too much."""
    complaints = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Function):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                complaints.append(
                    f"{path}:{node.lineno}: {node.name} has {lines} lines; the limit is {FUNCTION_LINES_MAX}"
                )
    return complaints


def mark_complaints(path: str, text: str) -> list[str]:
    """Marks of unfinished work: they belong in issues."""
    return [
        f"{path}:{number}: {found.group()}: finish it or open an issue"
        for number, line in enumerate(text.splitlines(), 1)
        for found in MARKS.finditer(line)
    ]


def machine_path_complaints(path: str, text: str) -> list[str]:
    """Paths that exist on somebody's machine only."""
    return [
        f"{path}:{number}: {line.strip()[:80]!r} names a path of one machine"
        for number, line in enumerate(text.splitlines(), 1)
        if MACHINE_PATHS.search(line)
    ]


def sleep_complaints(path: str, source: str) -> list[str]:
    """Tests that let time pass: `trio.sleep(0)` and virtual clocks are fine, anything else is luck."""
    if not path.startswith("tests/") or path == WAITING:
        return []
    complaints: list[str] = []
    _look_for_sleep(ast.parse(source), path, virtual=False, complaints=complaints)
    return complaints


def _look_for_sleep(node: ast.AST, path: str, *, virtual: bool, complaints: list[str]) -> None:
    if isinstance(node, Function):
        virtual = virtual or any(argument.arg in VIRTUAL_CLOCKS for argument in node.args.args)
    if isinstance(node, ast.Call) and _sleeps(node) and not (virtual and _called(node) != "time.sleep"):
        complaints.append(
            f"{path}:{node.lineno}: {_called(node)}; wait for a condition with {WAITING} instead"
        )
    for child in ast.iter_child_nodes(node):
        _look_for_sleep(child, path, virtual=virtual, complaints=complaints)


def _sleeps(call: ast.Call) -> bool:
    if _called(call) not in {"time.sleep", "trio.sleep", "sleep", "asyncio.sleep", "anyio.sleep"}:
        return False
    checkpoint = call.args and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0
    return not checkpoint


def _called(call: ast.Call) -> str:
    return ast.unparse(call.func)
