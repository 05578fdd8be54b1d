"""Writes the vectors: `python -m tests.vectors.generate` from the root of a checkout.

Everything in them follows from fixed seeds, so the files come out the same bit for bit; a test compares.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.vectors.account_vectors import handle_vectors, operation_vectors
from tests.vectors.archive_vectors import archive_vectors
from tests.vectors.cursor_vectors import cursor_vectors
from tests.vectors.record_vectors import record_vectors
from tests.vectors.statement_vectors import statement_vectors
from tests.vectors.wire_vectors import auth_vectors, identity_vectors, message_vectors

FOLDER = Path(__file__).resolve().parent


def vectors() -> dict[str, dict[str, Any]]:
    """File name → contents."""
    return {
        "records.json": record_vectors(),
        "identities.json": identity_vectors(),
        "auth.json": auth_vectors(),
        "messages.json": message_vectors(),
        "operations.json": operation_vectors(),
        "handles.json": handle_vectors(),
        "archives.json": archive_vectors(),
        "cursors.json": cursor_vectors(),
        "statements.json": statement_vectors(),
    }


def text_of(contents: dict[str, Any]) -> str:
    """The file's text: ASCII only, so that no editor or tool can change a vector unnoticed."""
    return json.dumps(contents, indent=1, ensure_ascii=True) + "\n"


def main() -> None:
    """Write every file."""
    for name, contents in vectors().items():
        (FOLDER / name).write_text(text_of(contents), encoding="ascii")


if __name__ == "__main__":
    main()
