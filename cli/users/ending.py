"""`folkmoot user purge` and `close`: taking back what an account wrote, and ending it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.errors import OperatorError, Usage
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, OK
from folkmoot.cli.output import Output, json_option
from folkmoot.cli.users import decisions
from folkmoot.cli.users.changing import PATIENCE_S, change
from folkmoot.cli.users.conduct import KEY_PATH, conduct, reason_option, say
from folkmoot.cli.users.erasing import (
    NO_WAY_BACK,
    Erasing,
    confirm,
    in_words,
    purged_lines,
    purged_value,
    survey_lines,
    survey_value,
)
from folkmoot.cli.users.proving import collected, out_option, require_absent, told, write
from folkmoot.node.data_directory import read_key, read_key_file
from folkmoot.protocol.accounts.actions import Action
from folkmoot.protocol.accounts.history import Account
from folkmoot.protocol.identity import account_to_text

if TYPE_CHECKING:
    from folkmoot.cli.users.purging import Purged
    from folkmoot.protocol.accounts.evidence import Evidence
    from folkmoot.protocol.client import Client

operator_option = click.option(
    "--operator",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="An operator's key file: quotas do not slow operators. [default: a local cluster's own]",
)
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
@operator_option
@yes_option
@target_options
@json_option
def purge_command(
    keyfile: Path,
    dry_run: bool,
    attest: bool,
    out: Path | None,
    operator: Path | None,
    yes: bool,
    target: Target,
    output: Output,
) -> int:
    """Take back everything that the account of KEYFILE wrote.

    Every post is deleted, every profile field and preference emptied, lists and feed algorithms are deleted;
    follows, mutes, blocks, bookmarks, likes and reposts are switched off. Nothing older stays on any replica
    but the name of each and when it was taken back; what the account uploaded is erased. The account lives
    on. What is interrupted is gone on with by the same command, and one that is done changes nothing.

    Every replica is waited for; where one cannot be reached a majority is, and the others hear of it later.
    Exit code 3 says that something is left, or that a replica does not attest that nothing is.
    """
    from folkmoot.cli.clients import operator_of

    _check_out(out, wanted=attest and not dry_run)
    key = read_key(keyfile)
    erasing = Erasing(target, key, operator_of(target, operator), output)
    surveyed = converse(target, erasing.survey, patience_s=PATIENCE_S)
    if dry_run:
        output.result(survey_value(key, surveyed), survey_lines(key, surveyed))
        return OK
    if surveyed.left and not yes:
        confirm(
            f"Take back {in_words(surveyed.left)} of {account_to_text(key.owner)}? {NO_WAY_BACK}.", output
        )
    total = surveyed.left.total()

    async def talk(client: Client) -> tuple[Purged, Evidence | None]:
        purged = await erasing.run(client, total)
        return purged, await collected(client, key.owner, purged.found, key, output) if attest else None

    purged, evidence = converse(target, talk, patience_s=PATIENCE_S)
    value, lines = purged_value(key, purged), purged_lines(key, purged)
    code = OK if purged.complete else DEGRADED
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
@operator_option
@reason_option
@yes_option
@target_options
@json_option
def close_command(
    keyfile: Path,
    purge: bool,
    attest: bool,
    out: Path | None,
    operator: Path | None,
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
    from folkmoot.cli.clients import operator_of

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
        confirm(f"Close {name} for ever? {left}.", output)
    more: dict[str, Any] = {}
    if purge:
        erasing = Erasing(target, signer, operator_of(target, operator), output)
        plan = _Plan(erasing, reason, attest, out)
        more = converse(target, plan.run, patience_s=PATIENCE_S)
    done = conduct(target, signer.owner, signer, lambda state: decisions.closing(state, reason))
    say(output, done, "the account is closed; nothing follows", "the account was closed already", **more)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What comes before an account is closed with `--purge`.

    Args:
        erasing: takes everything back.
        reason: for revoking the other devices.
        attest, out: as the options.
    """

    erasing: Erasing
    reason: str
    attest: bool
    out: Path | None

    async def run(self, client: Client) -> dict[str, Any]:
        """Leave the account with one device and nothing written; what became of that, for programs.

        Nothing is done to one that is closed already.

        Raises:
            OperatorError: something is left, or the account cannot be closed.
        """
        key, output = self.erasing.key, self.erasing.output
        while True:
            done = await change(client, key.owner, key, lambda state: _alone(state, key.account, self.reason))
            if done.action is None:
                break
            output.note("another device of the account is revoked, so that it writes nothing meanwhile")
        if done.account.closed:
            output.note("it was closed before: nobody can take back any more what was not taken back by then")
            return {}
        surveyed = await self.erasing.survey(client)
        purged = await self.erasing.run(client, surveyed.left.total())
        value = {"purged": purged_value(key, purged)}
        if not purged.complete:
            raise _not_closed(f"{in_words(purged.found.left)} could not be taken back yet", value)
        for line in purged_lines(key, purged):
            output.note(line)
        return value | (await self._attested(client, purged) if self.attest else {})

    async def _attested(self, client: Client, purged: Purged) -> dict[str, Any]:
        key, output = self.erasing.key, self.erasing.output
        evidence = await collected(client, key.owner, purged.found, key, output)
        attestation, lines, code = told(evidence)
        for line in lines:
            output.note(line)
        if code != OK:
            raise _not_closed("not every replica attests that nothing is left", {"attestation": attestation})
        write(self.out, evidence, key, output)
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
