"""Serving a link by a task a request."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio
import trio.testing
from folkmoot.node.rpc import Packed, run_link
from folkmoot.protocol import codec
from folkmoot.protocol.client.link import Link
from folkmoot.protocol.client.link_terms import PATIENT, Ended, LinkBroken
from folkmoot.protocol.connection import Params
from folkmoot.protocol.errors import BUSY, INTERNAL, LEVEL_UNREACHABLE, TIMEOUT, WireError


async def handle(link: Link, method: str, params: Params) -> Any:
    match method:
        case "echo":
            return params
        case "packed":
            return Packed(codec.pack([1, 2]))
        case "refuse":
            raise WireError(BUSY, "not now", retry_after_ms=7)
        case "bug":
            raise ZeroDivisionError
        case "peer gone":
            raise LinkBroken(Ended("gone"))
    return await trio.sleep_forever()


async def asked(method: str) -> Any:
    here, there = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        server = await nursery.start(run_link, there, handle)
        assert isinstance(server, Link)
        asker = Link(here, settings=PATIENT)
        nursery.start_soon(asker.run)
        try:
            return await asker.call(method, {"x": 1}, timeout_s=60.0)
        except WireError as error:
            return error.kind
        finally:
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("echo", {"x": 1}),
        ("packed", [1, 2]),
        ("refuse", BUSY),
        ("bug", INTERNAL),
        ("peer gone", LEVEL_UNREACHABLE),
        ("wait", TIMEOUT),
    ],
)
async def test_answers(
    method: str, answer: Any, autojump_clock: trio.abc.Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        assert await asked(method) == answer
    assert bool(caplog.records) == (method == "bug")


async def test_requests_in_work_are_cancelled_when_the_asker_goes() -> None:
    here, there = trio.testing.memory_stream_pair()
    began, cancelled = trio.Event(), trio.Event()

    async def wait(link: Link, method: str, params: Params) -> Any:
        began.set()
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_link, there, wait)
        asker = Link(here)
        nursery.start_soon(asker.run)
        asker.submit("m", {}, lambda _: None)
        await began.wait()
        asker.close()
    assert cancelled.is_set()
