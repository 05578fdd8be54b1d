"""Has pictures looked at, each by a process that may die of it.

A few processes (`worker`) wait for files, one at a time each. One that dies, stands still or answers nonsense
is ended, and the next picture gets another. A picture that it died of is given to a fresh one once more, for
a process may die of something else; then it is told to be unjudged. So nothing waits for ever, and nothing
that is in a picture is in the node.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import msgspec
import trio
from folkmoot.node.moderation.media.bounds import ANSWER_BYTES, WAITING
from folkmoot.node.moderation.media.judged import LENGTH, Judged, Question
from folkmoot.protocol import codec
from folkmoot.protocol.errors import BUSY, FolkmootError, WireError

log = logging.getLogger(__name__)

WORKER: Final = (sys.executable, "-I", "-m", "folkmoot.node.moderation.media.worker")
PATIENCE_S: Final = 30.0  # for one file, the start of a process included; its own limit is of processor time
_ENVIRONMENT: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

Chunks = Callable[[int], Awaitable[bytes]]


class _File(NamedTuple):
    question: Question
    chunks: int
    read: Chunks


class _Job:
    def __init__(self, file: _File) -> None:
        self.file = file
        self.done = trio.Event()
        self.wanted = True
        self.judged = Judged(unjudged="died")
        self.unreadable: Exception | None = None

    @property
    def may_be_innocent(self) -> bool:
        """Whether something else may have ended the process that was asked."""
        return self.unreadable is None and self.judged.unjudged == "died"


class _Unreadable(Exception):
    """A piece of a file could not be had, which is no fault of the process."""

    def __init__(self, why: Exception) -> None:
        super().__init__(str(why))
        self.why = why


class Decoders:
    """See the module. `run` must be running.

    Args:
        pixels_max: the most that a picture may have.
        with_model: whether the extra `[nsfw]` is asked, too.
        count: how many processes at once.
        command: what they are.
        patience_s: how long one file may take, in seconds.
    """

    def __init__(
        self,
        pixels_max: int,
        *,
        with_model: bool = False,
        count: int = 1,
        command: tuple[str, ...] = WORKER,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._command = [*command, str(pixels_max), *(["--nsfw"] if with_model else [])]
        self._count = count
        self._patience_s = patience_s
        self._given, self._to_do = trio.open_memory_channel[_Job](WAITING)
        self.replaced = 0
        self.unjudged = 0

    async def run(self) -> None:
        """Look at what is given until cancelled."""
        async with trio.open_nursery() as nursery:
            for _ in range(self._count):
                nursery.start_soon(self._work)

    async def judge(self, question: Question, chunks: int, read: Chunks) -> Judged:
        """Have a file looked at; whatever is wrong with it is told, not raised.

        Args:
            question: what it is said to be.
            chunks: how many pieces it has.
            read: gives one of them, by its number.

        Raises:
            WireError: `busy`, when too many are waiting.
            FolkmootError, OSError: what `read` raised.
        """
        job = _Job(_File(question, chunks, read))
        try:
            self._given.send_nowait(job)
        except trio.WouldBlock:
            raise WireError(BUSY, "this node has too many pictures to look at", retry_after_ms=1000) from None
        try:
            await job.done.wait()
        finally:
            job.wanted = False
        if job.unreadable is not None:
            raise job.unreadable
        return job.judged

    async def _work(self) -> None:
        process: trio.Process | None = None
        try:
            async for job in self._to_do:
                if not job.wanted:
                    continue
                try:
                    was_used = process is not None
                    process = await self._do(job, process)
                    if was_used and process is None and job.may_be_innocent:
                        process = await self._do(job, None)
                finally:
                    job.done.set()
                self.unjudged += job.judged.unjudged is not None
        finally:
            await _end(process)

    async def _do(self, job: _Job, process: trio.Process | None) -> trio.Process | None:
        """Have a process look at a file; which one is there for the next, None when it is not fit for it."""
        process = process or await self._start()
        try:
            job.judged, job.unreadable = await self._look(process, job.file), None
            if job.judged.unjudged not in ("died", "too_slow"):
                return process
        except _Unreadable as error:  # the process goes on waiting for the rest
            job.unreadable = error.why
        self.replaced += 1
        await _end(process)
        return None

    async def _start(self) -> trio.Process | None:
        try:
            return await trio.lowlevel.open_process(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_ENVIRONMENT,
                cwd="/",
            )
        except OSError as error:
            log.error("no process can be started to look at pictures: %s", error)
            return None

    async def _look(self, process: trio.Process | None, file: _File) -> Judged:
        if process is None:
            return Judged(unjudged="no_decoder")
        with trio.move_on_after(self._patience_s):
            try:
                return await _ask(process, file)
            except (trio.BrokenResourceError, trio.ClosedResourceError, WireError) as error:
                log.warning("a process died of a picture (%s): %s", file.question.mime, error)
                return Judged(unjudged="died")
        log.warning("a process was too slow for a picture (%s)", file.question.mime)
        return Judged(unjudged="too_slow")


async def _ask(process: trio.Process, file: _File) -> Judged:
    """Send a file and wait for what is seen in it.

    Raises:
        WireError: the answer is none.
        _Unreadable: the file cannot be read.
    """
    assert process.stdin is not None and process.stdout is not None
    question = codec.pack(msgspec.structs.asdict(file.question))
    await process.stdin.send_all(LENGTH.pack(len(question)) + question)
    for index in range(file.chunks):
        try:
            piece = await file.read(index)
        except (FolkmootError, OSError) as error:
            raise _Unreadable(error) from error
        await process.stdin.send_all(piece)
    (length,) = LENGTH.unpack(await _exactly(process.stdout, LENGTH.size))
    if length > ANSWER_BYTES:
        raise trio.BrokenResourceError("the answer is longer than any")
    answer: Any = codec.unpack(await _exactly(process.stdout, length))
    return codec.shaped(answer, Judged, "what was seen")


async def _exactly(stream: trio.abc.ReceiveStream, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        some = await stream.receive_some(count - len(data))
        if not some:
            raise trio.BrokenResourceError("it ended")
        data += some
    return bytes(data)


async def _end(process: trio.Process | None) -> None:
    """End a process at once, and see it gone."""
    if process is None:
        return
    process.kill()
    with trio.CancelScope(shield=True):
        await process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                await stream.aclose()
