"""Running trio so that the same seed gives the same run: virtual time, and a scheduler that repeats itself.

trio shuffles the tasks that are ready, on purpose. For Hypothesis it has a switch that makes the shuffle a
function of a seed; the switch and the generator are private, as is how a clock jumps, how trio asks the
kernel for events and where it keeps the tasks that are ready, and this is the only file that names them. A
canary test holds them to what is said here, so that a new trio cannot silently take repeatability away.

When every task waits, virtual time jumps to what is due next: a deadline of trio's, or a call that somebody
has asked for (see `VirtualClock.call_at`). Nothing that runs this way may use threads: while one works, the
clock would race ahead of it. So nothing ever comes from the kernel but an interrupt.

To sleep is to ask for such a call, too: trio's own way, a cancel scope that expires, means the same and costs
five times as much, and nodes that wait for something to do sleep more than they do anything else.

And a process may be frozen, as by SIGSTOP: its tasks become ready as ever, by what they waited for or by a
deadline that passes, but none of them runs until it is thawed.
"""

from __future__ import annotations

import gc
import heapq
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import Any, Final, TypeVar

import trio
import trio._core._run as trio_run

T = TypeVar("T")

# A run makes tasks by the thousand, most of them in cycles; collecting seldom costs some memory.
COLLECT_AFTER: Final = (200_000, 20, 50)


class NothingLeft(Exception):
    """Every task waits, and nothing is due, ever."""


class VirtualClock(trio.abc.Clock):
    """Time that passes only when there is nothing to do."""

    def __init__(self) -> None:
        self._now_s = 0.0
        self._deadline_s = math.inf
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def call_at(self, at_s: float, call: Callable[[], None]) -> None:
        """Call `call` at the virtual time `at_s`, or soon if that has passed.

        It must neither wait nor raise. What is due at one moment is called in the order it was asked for.
        """
        heapq.heappush(self._due, (at_s, next(self._order), call))

    async def sleep_until(self, deadline: float) -> None:
        """See `trio.sleep_until`."""
        sleeper = [trio.lowlevel.current_task()]

        def wake() -> None:
            if sleeper:
                trio.lowlevel.reschedule(sleeper.pop())

        def abort(raise_cancel: object) -> trio.lowlevel.Abort:
            sleeper.clear()
            return trio.lowlevel.Abort.SUCCEEDED

        self.call_at(deadline, wake)
        await trio.lowlevel.wait_task_rescheduled(abort)

    async def sleep(self, seconds: float) -> None:
        """See `trio.sleep`."""
        if seconds < 0:
            raise ValueError("`seconds` must be non-negative")
        if seconds == 0:
            await trio.lowlevel.checkpoint()
        else:
            await self.sleep_until(self._now_s + seconds)

    def start_clock(self) -> None:
        """See `trio.abc.Clock`; from now on trio asks for events and for ready tasks by what is said here."""
        runner: Any = trio_run.GLOBAL_RUN_CONTEXT.runner
        runner.io_manager = _Events(runner, self)
        runner.runq = _Ready(runner.runq)

    def current_time(self) -> float:
        """Seconds since the beginning."""
        return self._now_s

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """See `trio.abc.Clock`; asked whenever no task is ready, with trio's next deadline."""
        self._deadline_s = deadline
        return max(0.0, deadline - self._now_s)

    def pass_time(self) -> bool:
        """Go on to the next moment at which something happens; False when there is none."""
        next_s = min(self._deadline_s, self._due[0][0] if self._due else math.inf)
        if next_s == math.inf:
            return False
        self._now_s = now_s = max(self._now_s, next_s)
        while self._due and self._due[0][0] <= now_s:
            heapq.heappop(self._due)[2]()
        return True


class _Events:
    """What trio asks for events: time passes here, and the kernel is asked only when it may know of some.

    Args:
        runner: trio's, whose own way of asking does the rest.
        clock: whose time passes when nothing else is left to do.
    """

    def __init__(self, runner: Any, clock: VirtualClock) -> None:
        self._runner = runner
        self._manager = runner.io_manager
        self._clock = clock

    def get_events(self, timeout: float) -> Sequence[Any]:
        """Called once a turn; `timeout` is 0 when tasks are ready."""
        if self._runner.ki_pending and (events := self._manager.get_events(0.0)):
            return events  # type: ignore[no-any-return]
        if timeout == 0 or self._clock.pass_time():
            return ()
        if events := self._manager.get_events(0.0):  # such as trio's own word that the run is over
            return events  # type: ignore[no-any-return]
        raise NothingLeft("every task waits, and nothing is due, ever")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._manager, name)


class _Ready(deque[trio.lowlevel.Task]):
    """The tasks that are ready. Once a turn trio makes a list of it and clears it: frozen ones are kept back.

    Attributes:
        frozen: how many processes are.
    """

    frozen = 0

    def __iter__(self) -> Iterator[trio.lowlevel.Task]:
        ready = super().__iter__()
        return ready if not self.frozen else (task for task in ready if not _keeps_back(task))


class Freezer:
    """Freezes one process: the tasks that have it in their context, as `frozen_by`."""

    def __init__(self) -> None:
        self._kept: list[trio.lowlevel.Task] = []
        self._thawed: trio.Event | None = None

    @property
    def frozen(self) -> bool:
        """Whether none of its tasks runs."""
        return self._thawed is not None

    def freeze(self) -> None:
        """Have none of its tasks run. Not to be called by one of them."""
        assert self._thawed is None, "frozen twice"
        self._thawed = trio.Event()
        _ready().frozen += 1

    def thaw(self) -> None:
        """Have those run that became ready meanwhile, if it is frozen; for them no time has passed."""
        if self._thawed is not None:
            self._thawed.set()
            self._thawed = None
            _ready().frozen -= 1
            kept, self._kept = self._kept, []
            _ready().extend(kept)

    async def wait_thawed(self) -> None:
        """Wait until it is not frozen."""
        while self._thawed is not None:
            await self._thawed.wait()

    def keep(self, task: trio.lowlevel.Task) -> None:
        """Have a task of its own that is ready run when it is thawed."""
        self._kept.append(task)


frozen_by: Final[ContextVar[Freezer]] = ContextVar("freezer")
"""Set in a process's first task, and so known of all of them."""


def _ready() -> _Ready:
    ready = trio_run.GLOBAL_RUN_CONTEXT.runner.runq
    assert isinstance(ready, _Ready), "only what runs repeatably can be frozen"
    return ready


def _keeps_back(task: trio.lowlevel.Task) -> bool:
    """Whether a task that is ready is one of a frozen process, which keeps it from now on."""
    freezer = task.context.get(frozen_by)
    if freezer is None or not freezer.frozen:
        return False
    freezer.keep(task)
    return True


def run_repeatably(main: Callable[[], Awaitable[T]], seed: int) -> T:
    """Run `main` on virtual time that starts at 0, with every scheduling decision drawn from `seed`.

    Args:
        main: an async function without arguments.
        seed: any integer.

    Raises:
        KeyboardInterrupt: after Ctrl-C, alone or in a group. It arrives where `main` waits and nowhere else:
            in the middle of a commit or of a node's task it would be taken for a failure of that.
        NothingLeft: the run can neither go on nor end.
    """

    flag = "_ALLOW_DETERMINISTIC_SCHEDULING"  # a Final to type checkers, hence set by name
    before = getattr(trio_run, flag)
    setattr(trio_run, flag, True)
    trio_run._r.seed(seed)
    try:
        clock = VirtualClock()
        with _collecting_seldom(), _sleeping_by(clock):
            return trio.run(main, clock=clock, restrict_keyboard_interrupt_to_checkpoints=True)
    finally:
        setattr(trio_run, flag, before)


@contextmanager
def _sleeping_by(clock: VirtualClock) -> Iterator[None]:
    """Have everybody who sleeps do so by this clock."""
    before = trio.sleep, trio.sleep_until
    trio.sleep, trio.sleep_until = clock.sleep, clock.sleep_until
    try:
        yield
    finally:
        trio.sleep, trio.sleep_until = before


@contextmanager
def _collecting_seldom() -> Iterator[None]:
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
