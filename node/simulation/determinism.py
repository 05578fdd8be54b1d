"""Running trio so that the same seed gives the same run: virtual time, and a scheduler that repeats itself.

trio shuffles the tasks that are ready, on purpose. For Hypothesis it has a switch that makes the shuffle a
function of a seed; the switch and the generator are private, and this is the only file that names them. A
canary test holds both to what is said here, so that a new trio cannot silently take repeatability away.

Virtual time is trio's own `MockClock`: when every task waits, it jumps to the next deadline. Nothing that
runs this way may use threads: while one works, the clock would race ahead of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio
import trio._core._run as trio_run
import trio.testing

T = TypeVar("T")


def run_repeatably(main: Callable[[], Awaitable[T]], seed: int) -> T:
    """Run `main` on virtual time that starts at 0, with every scheduling decision drawn from `seed`.

    Args:
        main: an async function without arguments.
        seed: any integer.

    Raises:
        KeyboardInterrupt: after Ctrl-C, alone or in a group. It arrives where `main` waits and nowhere else:
            in the middle of a commit or of a node's task it would be taken for a failure of that.
    """
    flag = "_ALLOW_DETERMINISTIC_SCHEDULING"  # a Final to type checkers, hence set by name
    before = getattr(trio_run, flag)
    setattr(trio_run, flag, True)
    trio_run._r.seed(seed)
    try:
        return trio.run(
            main,
            clock=trio.testing.MockClock(autojump_threshold=0),
            restrict_keyboard_interrupt_to_checkpoints=True,
        )
    finally:
        setattr(trio_run, flag, before)
