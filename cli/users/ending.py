"""`folkmoot user purge` and `close`: taking back what an account wrote, and ending it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.errors import OperatorError, Usage
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, OK
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.progress import progress_bar
from folkmoot.cli.users import decisions
from folkmoot.cli.users.changing import PATIENCE_S, change
from folkmoot.cli.users.conduct import KEY_PATH, conduct, reason_option, say
from folkmoot.cli.users.proving import collected, out_option, require_absent, told, write
from folkmoot.node.data_directory import read_key, read_key_file
from folkmoot.protocol.accounts.actions import Action
from folkmoot.protocol.accounts.history import Account
from folkmoot.protocol.identity import KeyPair, account_to_text

if TYPE_CHECKING:
    from folkmoot.cli.users.purging import Purged, Survey
    from folkmoot.protocol.accounts.evidence import Evidence
    from folkmoot.protocol.client import Client

NO_WAY_BACK: Final = "what is taken back is gone from every replica and cannot be had again"
STAYS: Final = "likes and reposts of others' posts lie with those, and are not found"
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
attest_option = click.option(
    "--attest", is_flag=True, help="Then have every replica attest that it is gone; see `user attest`."
)


@click.command(
    "purge",
    epilog=examples(
        "folkmoot user purge alice.key --dry-run",
        "folkmoot user purge alice.key",
        "folkmoot user purge phone.key --attest --out alice.evidence --yes",
    ),
)
@click.argument("keyfile", type=KEY_PATH)
@click.option("--dry-run", is_flag=True, help="Say what would be taken back, and change nothing.")
@attest_option
@out_option
@yes_option
@target_options
@json_option
def purge_command(
    keyfile: Path, dry_run: bool, attest: bool, out: Path | None, yes: bool, target: Target, output: Output
) -> int:
    """Take back everything that the account of KEYFILE wrote under its own name.

    Every post is deleted, every profile field emptied; follows, mutes, blocks and bookmarks are switched off.
    Nothing older stays on any replica but the name of each and when it was taken back. The account lives on.
    What is interrupted is gone on with by the same command, and one that is done changes nothing.

    Every replica is waited for; where one cannot be reached a majority is, and the others hear of it later.
    Exit code 3 says that something is left, or that a replica does not attest that nothing is.
    """
    _check_out(out, wanted=attest and not dry_run)
    key = read_key(keyfile)
    surveyed = converse(target, lambda client: _survey(client, key, output), patience_s=PATIENCE_S)
    if dry_run:
        output.result(_found(key, surveyed), _found_lines(key, surveyed))
        return OK
    if surveyed.left and not yes:
        _confirm(f"Take back {_told(surveyed.left)} of {account_to_text(key.owner)}? {NO_WAY_BACK}.", output)
    total = surveyed.left.total()

    async def talk(client: Client) -> tuple[Purged, Evidence | None]:
        purged = await _purge(client, key, total, output)
        return purged, await collected(client, key.owner, purged.found, key, output) if attest else None

    purged, evidence = converse(target, talk, patience_s=PATIENCE_S)
    value, lines, code = _value(key, purged), _lines(key, purged), OK if purged.complete else DEGRADED
    if evidence is not None:
        attestation, more, attested = told(evidence)
        write(out, evidence, key, output)
        value, lines, code = value | {"attestation": attestation}, [*lines, *more], max(code, attested)
    output.result(value, lines)
    return code


@click.command(
    "close",
    epilog=examples(
        "folkmoot user close alice.key",
        "folkmoot user close alice.key --purge",
        "folkmoot user close alice.recovery --yes --reason moved",
    ),
)
@click.argument("keyfile", type=KEY_PATH)
@click.option("--purge", is_flag=True, help="Take back everything that it wrote first; see `user purge`.")
@attest_option
@out_option
@reason_option
@yes_option
@target_options
@json_option
def close_command(
    keyfile: Path,
    purge: bool,
    attest: bool,
    out: Path | None,
    reason: str,
    yes: bool,
    target: Target,
    output: Output,
) -> None:
    """Close the account of KEYFILE for good.

    Nothing follows: no key signs for it again, it cannot be recovered, and its handle becomes free for others
    after the quarantine. KEYFILE may be the recovery key file.

    What it wrote stays, for nobody can sign what would take it back. With --purge it is taken back first, by
    a device's key: all other devices are revoked, so that nothing is written meanwhile; everything is taken
    back; then the account is closed. If something is left, or with --attest a replica does not attest that
    nothing is, it is not closed. The same command goes on where it was interrupted.
    """
    if attest and not purge:
        raise Usage("--attest is about what --purge has taken back", hint="folkmoot user attest")
    _check_out(out, wanted=attest)
    held = read_key_file(keyfile)
    if purge and held.recovers:
        raise Usage(
            f"{keyfile} is a recovery key, which signs no deletions: --purge needs a device's key file",
            hint="folkmoot user recover, which gives the account a new device key",
        )
    signer = held.pair
    name = account_to_text(signer.owner)
    if not yes:
        left = (
            f"Everything it wrote is taken back, and {NO_WAY_BACK}"
            if purge
            else ("What it wrote stays and can never be taken back; --purge does that first")
        )
        _confirm(f"Close {name} for ever? {left}.", output)
    more: dict[str, Any] = {}
    if purge:
        plan = _Plan(signer, reason, attest, out, output)
        more = converse(target, plan.run, patience_s=PATIENCE_S)
    done = conduct(target, signer.owner, signer, lambda state: decisions.closing(state, reason))
    say(output, done, "the account is closed; nothing follows", "the account was closed already", **more)


async def _survey(client: Client, key: KeyPair, output: Output) -> Survey:
    from folkmoot.cli.users.purging import Purge

    await client.auth(key)
    with progress_bar("cells listed", quiet=output.as_json) as progress:
        return await Purge(client, key, output.note).survey(progress)


async def _purge(client: Client, key: KeyPair, total: int, output: Output) -> Purged:
    from folkmoot.cli.users.purging import Purge

    await client.auth(key)
    with progress_bar("taken back", quiet=output.as_json) as progress:
        return await Purge(client, key, output.note).run(total, progress)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What comes before an account is closed with `--purge`.

    Args:
        key: of the device that does it.
        reason: for revoking the others.
        attest, out: as the options.
        output: where it is told.
    """

    key: KeyPair
    reason: str
    attest: bool
    out: Path | None
    output: Output

    async def run(self, client: Client) -> dict[str, Any]:
        """Leave the account with one device and nothing written; what became of that, for programs.

        Nothing is done to one that is closed already.

        Raises:
            OperatorError: something is left, or the account cannot be closed.
        """
        key, output = self.key, self.output
        while True:
            done = await change(client, key.owner, key, lambda state: _alone(state, key.account, self.reason))
            if done.action is None:
                break
            output.note("another device of the account is revoked, so that it writes nothing meanwhile")
        if done.account.closed:
            return {}
        surveyed = await _survey(client, key, output)
        purged = await _purge(client, key, surveyed.left.total(), output)
        value = {"purged": _value(key, purged)}
        if not purged.complete:
            raise _not_closed(f"{_told(purged.found.left)} could not be taken back yet", value)
        for line in _lines(key, purged):
            output.note(line)
        return value | (await self._attested(client, purged) if self.attest else {})

    async def _attested(self, client: Client, purged: Purged) -> dict[str, Any]:
        evidence = await collected(client, self.key.owner, purged.found, self.key, self.output)
        attestation, lines, code = told(evidence)
        for line in lines:
            self.output.note(line)
        if code != OK:
            raise _not_closed("not every replica attests that nothing is left", {"attestation": attestation})
        write(self.out, evidence, self.key, self.output)
        return {"attestation": attestation}


def _not_closed(why: str, details: dict[str, Any]) -> OperatorError:
    hint = "the same again, which goes on from here"
    return OperatorError(f"the account was not closed: {why}", hint=hint, exit_code=DEGRADED, details=details)


def _check_out(out: Path | None, *, wanted: bool) -> None:
    """Refuse a place for evidence before anything is done.

    Raises:
        Usage: there will be none.
        OperatorError: something is there.
    """
    if out is None:
        return
    if not wanted:
        raise Usage("--out is where the evidence of --attest goes")
    require_absent(out)


def _alone(state: Account, key: bytes, reason: str) -> Action | None:
    """What is to be done so that only one device of an account can sign.

    Raises:
        OperatorError: the account cannot be closed by that device, so nothing is to be taken back for it.
    """
    if decisions.closing(state, reason) is None:
        return None
    if not state.may_sign(key):
        why = "suspended" if state.suspended else "not one that this key may sign for"
        raise OperatorError(
            f"the account is {why}: nothing can be taken back",
            hint=f"folkmoot user show {account_to_text(state.id)}",
        )
    others = [other for other in state.signing_keys() if other != key]
    return decisions.revocation(state, others[0], reason) if others else None


def _told(counts: Counter[str]) -> str:
    """`12 posts and 3 follows`."""
    words = [f"{count:,} {kind if count == 1 else PLURALS[kind]}" for kind, count in counts.most_common()]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words) or "nothing"


PLURALS: Final[Mapping[str, str]] = {
    "post": "posts",
    "profile": "profile fields",
    "follow": "follows",
    "mute": "mutes",
    "block": "blocks",
    "bookmark": "bookmarks",
    "like": "likes",
    "repost": "reposts",
    "report": "reports",
    "label": "labels",
    "vote": "votes",
    "decision": "decisions",
    "appeal": "appeals",
}


def _found(key: KeyPair, survey: Survey) -> dict[str, Any]:
    return {
        "account": account_to_text(key.owner),
        "left": dict(survey.left),
        "gone": survey.gone,
        "staying": dict(survey.staying),
    }


def _found_lines(key: KeyPair, survey: Survey) -> list[str]:
    name = account_to_text(key.owner)
    lines = [f"{name}: {_told(survey.left)} to be taken back; {survey.gone:,} were before"]
    if survey.staying:
        lines.append(f"{_told(survey.staying)} stay: they are statements in others' cases")
    return [*lines, STAYS]


def _value(key: KeyPair, purged: Purged) -> dict[str, Any]:
    return {
        **_found(key, purged.found),
        "taken_back": dict(purged.taken_back),
        "at_quorum": purged.at_quorum,
        "reasons": dict(purged.reasons),
        "complete": purged.complete,
    }


def _lines(key: KeyPair, purged: Purged) -> list[str]:
    done = _told(purged.taken_back) if purged.taken_back else "nothing was left to be"
    lines = [f"{account_to_text(key.owner)}: {done} taken back; {purged.found.gone:,} gone in all"]
    if purged.at_quorum:
        lines.append(f"not every replica has acknowledged {purged.at_quorum:,} of them; the others will hear")
    if purged.found.left:
        lines.append(f"LEFT: {_told(purged.found.left)}; the same again goes on from here")
    lines += [f"refused ({count:,}): {reason}" for reason, count in purged.reasons.most_common()]
    if purged.found.staying:
        lines.append(f"{_told(purged.found.staying)} stay: they are statements in others' cases")
    return [*lines, STAYS]


def _confirm(question: str, output: Output) -> None:
    """Ask a person, if there is one.

    Raises:
        OperatorError: there is none, or the answer is no.
    """
    if output.as_json or not sys.stdin.isatty():
        raise OperatorError(
            "this cannot be undone, and nobody is here to be asked", hint="the same with --yes"
        )
    if not click.confirm(question, default=False, err=True):
        raise OperatorError("nothing was done")
