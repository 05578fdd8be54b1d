"""What the demo shows: the live screen, the conclusion, the picture, and the figures behind them."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from folkmoot.cli.checking.checker import CheckResult
from folkmoot.cli.checking.judging import Finding, Violation
from folkmoot.cli.demo.reading import ShownPost
from folkmoot.cli.demo.scene import Fault, NodeScene, Scene
from folkmoot.cli.demo.view import conclusion, render, save_picture
from rich.console import Console, RenderableType

POSTS = [
    ShownPost(datetime(2026, 9, 24, 16, tzinfo=UTC), "marit", "My pot is on.", "", 3, 1, ()),
    ShownPost(datetime(2026, 9, 24, 17, tzinfo=UTC), "luckyday", "double it", "marit", 0, 0, ("spam",)),
]


def checked(*findings: Finding, compared: int = 9, not_compared: int = 0) -> CheckResult:
    return CheckResult(
        acknowledged=9,
        compared=compared,
        could_not_compare=not_compared,
        findings=findings,
        replicas=3,
        ranges=64,
        silent=[],
        at_rest=True,
        seconds=1.0,
    )


def scene() -> Scene:
    shown = Scene(phase="loading")
    shown.nodes = {
        "eu-1": NodeScene("eu-1", "eu", seen="alive"),
        "us-1": NodeScene("us-1", "us", condition="killed", seen="dead"),
    }
    shown.tally.read, shown.tally.stored, shown.tally.skipped = 12, 9, 2
    shown.faults = [Fault("kill", "us-1", 2.5, seen_ms=120, healed_s=1.25), Fault("partition", "ap", 5.0)]
    shown.tell("SIGKILL to us-1")
    return shown


def text_of(shown: RenderableType, width: int = 100) -> str:
    out = io.StringIO()
    Console(file=out, width=width, no_color=True).print(shown)
    return out.getvalue()


def test_the_live_screen_shows_nodes_load_and_events() -> None:
    text = text_of(render(scene()))
    for words in ("us-1", "killed", "dead", "10 records sent, 9 acknowledged", "SIGKILL to us-1", "loading"):
        assert words in text


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_conclusion_has_feed_faults_and_verdict_at_any_width(width: int) -> None:
    text = text_of(conclusion(scene(), POSTS, "us-1", checked()), width)
    for words in ("marit", "3♥ 1⟳", "[spam]", "↳ marit", "120 ms", "1.2 s", "partition", "passed: 9 of 9"):
        assert words in text


def test_a_failed_check_is_told_as_one() -> None:
    lost = Finding(Violation.LOST, b"k", "gone")
    assert "FAILED" in text_of(conclusion(scene(), POSTS, "us-1", checked(lost)))


@pytest.mark.parametrize(
    ("result", "passed"),
    [
        (checked(), True),
        (checked(Finding(Violation.DIVERGED, b"k", "differ")), False),
        (checked(compared=8), False),
        (checked(not_compared=1), False),
    ],
)
def test_a_check_passes_only_when_everything_was_compared_and_kept(result: CheckResult, passed: bool) -> None:
    assert result.passed is passed is result.summary()["passed"]


def test_the_picture_is_an_svg_with_both_screens(tmp_path: Path) -> None:
    shown = scene()
    save_picture(shown, conclusion(shown, POSTS, "us-1", checked()), tmp_path / "demo.svg")
    picture = (tmp_path / "demo.svg").read_text()
    assert picture.startswith("<svg") and "SIGKILL" in picture and "passed" in picture


def test_the_rate_is_that_of_the_last_two_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("folkmoot.cli.demo.scene.time.monotonic", lambda: now)
    shown = Scene()
    assert shown.rate() == 0.0
    for step in range(50):
        now = 100.0 + step / 10
        shown.tally.stored = step * 10 if step < 30 else 290
        shown.sample()
    assert shown.rate() == pytest.approx(0.0, abs=1e-9)
    shown.tally.stored = 390
    now += 0.1
    shown.sample()
    assert shown.rate() == pytest.approx(50.0, rel=0.1)
