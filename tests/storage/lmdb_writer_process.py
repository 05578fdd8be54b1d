"""A process that writes to a store for ever and says so; to be killed. See `test_disk`."""

from __future__ import annotations

import sys
from pathlib import Path

from folkmoot.protocol.limits import MIB
from folkmoot.storage.lmdb_engine import LmdbEngine
from folkmoot.storage.transaction import Admission
from folkmoot.storage.writer import WriterThread

from tests.storage.making import open_store, person, post, reaction

ANN, BEN = person(1), person(2)


def main(directory: str, first: int) -> None:
    """Write posts `first`, `first` + 1, …, three jobs under way at a time; a line for each when durable."""
    writer = WriterThread(open_store(LmdbEngine(Path(directory), cap_bytes=256 * MIB)))

    def acknowledge(number: int | None, error: BaseException | None) -> None:
        assert error is None, error
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        submit(number + 3 if number is not None else first)

    def submit(number: int) -> None:
        record, like = post(ANN, number, "x" * (number % 3000)), reaction("like", BEN, ANN, number)

        def job(tx):  # type: ignore[no-untyped-def]
            tx.put_record(record)
            tx.put_record(like)
            return number

        writer.submit(job, Admission.CLIENT_PUT, acknowledge)

    for number in range(first, first + 3):
        submit(number)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
