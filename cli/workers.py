"""Work that is spread over several processes: none outlives the command, and one that is lost is said."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from folkmoot.cli.errors import OperatorError
from folkmoot.cli.node_parent import die_with_parent

T = TypeVar("T")
R = TypeVar("R")


def spread(
    work: Callable[[T], R], items: Sequence[T], processes: int, *, items_each: int | None = None
) -> Generator[tuple[int, R], None, None]:
    """Work on items in so many processes at once; what comes of each, with its number, as it is done.

    Args:
        work: a function of a module, so that the processes find it; what it raises is raised here.
        items_each: after so many a process is replaced by a new one; None for never.

    Raises:
        OperatorError: a process was ended from outside, as the kernel does when there is no memory left.
    """
    of_others = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(
        processes,
        multiprocessing.get_context("spawn"),
        initializer=die_with_parent,
        initargs=(os.getpid(),),
        max_tasks_per_child=items_each,
    )
    try:
        numbers = {executor.submit(work, item): number for number, item in enumerate(items)}
        for future in as_completed(numbers):
            yield numbers[future], future.result()
    except BrokenProcessPool as error:
        raise OperatorError(
            "a process that worked for this command was killed, perhaps because memory ran out",
            hint="fewer --jobs",
        ) from error
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - of_others:
            child.terminate()  # whoever was interrupted waits for no work that is under way
