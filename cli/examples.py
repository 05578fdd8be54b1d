"""Examples under a command's help."""

from __future__ import annotations


def examples(*lines: str) -> str:
    """An epilogue that shows command lines as they are, unwrapped."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
