"""What came of teaching a challenger: its files, the comparison, and what a policy says to use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from folkmoot.cli.errors import OperatorError
from folkmoot.cli.evaluating.teaching import policy_lines
from folkmoot.cli.moderating import manifest as manifests
from folkmoot.cli.moderating.learning import Found, model_in, seen
from folkmoot.cli.moderating.manifest import SUFFIX, Manifest
from folkmoot.protocol.moderation.evidence import SAMPLE, Source
from folkmoot.protocol.moderation.statistics.comparing import Measured
from folkmoot.protocol.moderation.statistics.proportions import Interval
from folkmoot.protocol.moderation.text.challenging import Challenger, Plan, Text, TooLittle
from folkmoot.protocol.moderation.text.challenging import replay as taught_anew
from folkmoot.protocol.moderation.text.model import TextModel
from folkmoot.protocol.moderation.text.weighing import Shares, largest

MODEL = ".model"
_DIGITS = 4


def base_of(file: Path, model: TextModel) -> TextModel | None:
    """What a model began from, by the manifest beside it; itself, where there is none.

    Raises:
        OperatorError: the manifest is broken, or what it names is not there.
    """
    beside = file.with_suffix(SUFFIX)
    if not beside.exists():
        return model
    base = manifests.read(beside).base
    return None if base is None else model_in(beside.with_name(f"{base}{MODEL}"))


def plan_of(said: Manifest, file: Path, base_file: Path | None) -> Plan:
    """How a manifest says to learn.

    Args:
        said: what it says.
        file: where it is.
        base_file: what it began from; None for what lies beside it under the right name.

    Raises:
        OperatorError: the base is not there, or another one.
    """
    base = None
    if said.base is not None:
        where = base_file or file.with_name(f"{said.base}{MODEL}")
        base = model_in(where)
        if base.hash() != said.base:
            raise OperatorError(f"{where}: learning began from another model, {said.base}")
    return Plan(said.question, base, said.seed, Shares(*said.shares))


def report_of(
    found: Found, texts: Sequence[Text], plan: Plan, current: TextModel, challenger: Challenger
) -> dict[str, Any]:
    """What is told of a challenger."""
    lessons, compared, weights = found.lessons, challenger.compared, challenger.weights
    yes = sum(lesson.so for lesson in lessons)
    samples = sum(lesson.millionths > 0 for lesson in lessons)
    name = challenger.model.hash()
    report: dict[str, Any] = {
        "question": plan.question,
        "lessons": {
            "yes": yes,
            "no": len(lessons) - yes,
            "decided": len(lessons) - samples,
            "samples": samples,
            "gone": len(found.gone),
        },
        "missing": found.missing,
        "base": None if plan.base is None else plan.base.hash(),
        "current": {"hash": current.hash(), **_told(compared.current)},
        "challenger": {"hash": name, **_told(compared.challenger)},
        "difference": {"auc": _difference(*compared.auc), "macro_f1": _difference(*compared.macro_f1)},
        "better": compared.is_better,
        "largest_shares": {
            "reviewer": round(largest(weights, [lesson.by for lesson in lessons]), _DIGITS),
            "author": round(largest(weights, [lesson.author for lesson in lessons]), _DIGITS),
            "text": round(largest(weights, [text.alike for text in texts]), _DIGITS),
        },
    }
    if compared.is_better:
        counted = dict.fromkeys(challenger.evidence, Source(SAMPLE, name, challenger.sample))
        report["policy"] = policy_lines(plan.question, name, challenger.evidence, counted)
    return report


def written(
    out: Path, found: Found, plan: Plan, rules: Sequence[str], challenger: Challenger
) -> dict[str, str]:
    """Write the challenger and its manifest; where they are.

    Raises:
        OperatorError: they cannot be written.
    """
    name = challenger.model.hash()
    model_file, manifest_file = out / f"{name}{MODEL}", out / f"{name}{SUFFIX}"
    base = None if plan.base is None else plan.base.hash()
    manifest = manifests.manifest_of(
        plan.question,
        found.lessons,
        base=base,
        seed=plan.seed,
        shares=plan.shares,
        rules=rules,
        model=name,
    )
    try:
        out.mkdir(parents=True, exist_ok=True)
        if plan.base is not None:
            (out / f"{base}{MODEL}").write_bytes(plan.base.encode())
        model_file.write_bytes(challenger.model.encode())
        manifests.write(manifest_file, manifest)
    except OSError as error:
        raise OperatorError(f"{out}: {error.strerror}", hint="name a folder that can be written") from error
    return {"file": str(model_file), "manifest": str(manifest_file)}


def as_lines(report: Mapping[str, Any]) -> list[str]:
    """The same for people."""
    lessons, shares = report["lessons"], report["largest_shares"]
    lines = [
        f"{lessons['decided']} settled decisions and {lessons['samples']} answers of the blind review say "
        f"what is {report['question']}: {lessons['yes']} yes, {lessons['no']} no",
    ]
    if lessons["gone"]:
        lines.append(f"{lessons['gone']} more are about posts that are not there any more")
    if report["missing"]:
        lines.append(f"{report['missing']} ranges did not answer: there may be more")
    lines.append(
        f"of the weight at most {shares['reviewer']:.0%} come of one reviewer, {shares['author']:.0%} of one "
        f"author, {shares['text']:.0%} of one text"
    )
    for which in ("current", "challenger"):
        told = report[which]
        lines.append(
            f"{which:>10}  AUC {told['auc']:.3f}  macro-F1 {told['macro_f1']:.3f}  {told['hash'][:12]}"
        )
    for name, words in (("auc", "AUC"), ("macro_f1", "macro-F1")):
        value, low, high = report["difference"][name]
        lines.append(f"{'':>10}  {words} {value:+.3f}, between {low:+.3f} and {high:+.3f}")
    lines += [f"{report['file']} is the challenger", f"{report['manifest']} is what it follows from", ""]
    if report["better"]:
        lines += ["it is better beyond chance; to use it, a policy says", "", *report["policy"].split("\n")]
    else:
        lines.append("it is not better beyond chance: nothing speaks for using it")
    return lines


def replayed(said: Manifest, plan: Plan, found: Found) -> dict[str, Any]:
    """What came of teaching a model anew.

    Raises:
        OperatorError: too little is left to teach anything.
    """
    texts = seen(found.records, plan.question)
    try:
        name = taught_anew(found.lessons, texts, plan).hash()
    except TooLittle as error:
        raise OperatorError(
            f"{error}; {len(found.gone)} of the posts are not there any more",
            hint="nobody can teach this model anew",
        ) from error
    return {
        "model": said.model,
        "replayed": name,
        "same": name == said.model,
        "lessons": len(said.lessons),
        "gone": len(found.gone),
        "read_alike": said.is_read_alike,
    }


def replayed_lines(report: Mapping[str, Any]) -> list[str]:
    """The same for people."""
    if report["same"]:
        return [f"{report['lessons']} lessons teach the same model: {report['model']}"]
    lines = [f"another model came of it: {report['replayed']}, not {report['model']}"]
    if report["gone"]:
        lines.append(f"{report['gone']} of {report['lessons']} posts are not there any more")
    if not report["read_alike"]:
        lines.append("it was taught by another version of the program, or with other Unicode data")
    return lines


def _told(measured: Measured) -> dict[str, float]:
    return {"auc": round(measured.auc, _DIGITS), "macro_f1": round(measured.macro_f1, _DIGITS)}


def _difference(value: float, interval: Interval) -> list[float]:
    return [round(each, _DIGITS) for each in (value, interval.low, interval.high)]
