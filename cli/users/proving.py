"""`folkmoot user attest`, and what `purge`, `close` and `verify` share with it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, OK
from folkmoot.cli.members import operator_option
from folkmoot.cli.output import Output, json_option, table, utc_text
from folkmoot.cli.progress import progress_bar
from folkmoot.cli.users.changing import PATIENCE_S
from folkmoot.cli.users.conduct import KEY_PATH
from folkmoot.cli.users.who import Who, WhoType
from folkmoot.node.data_directory import read_key, replace_file
from folkmoot.protocol.accounts.evidence import MAGIC, Evidence, Judged, judge
from folkmoot.protocol.errors import WireError
from folkmoot.protocol.identity import KeyPair, account_to_text
from folkmoot.protocol.limits import EVIDENCE_BYTES

if TYPE_CHECKING:
    from folkmoot.cli.users.purging import Survey
    from folkmoot.protocol.client import Client

COLUMNS: Final = ("node", "replica", "gone", "left", "media", "free pages", "complaint")
CLEAN: Final = "clean"
UNCLEAN: Final = "may hold bytes"
FREE_PAGES: Final = (
    "what is gone may still be in free pages of these nodes' files, where no node reads it: folkmoot store "
    "compact, with the node stopped, leaves nothing, and folkmoot store scrub proves it"
)
BEYOND: Final = (
    "likes and reposts of others' posts, backups made before and what others have copied are beyond this"
)

out_option = click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the evidence here, to be checked later with `user verify`.",
)


@click.command(
    "attest",
    epilog=examples(
        "folkmoot user attest alice.key --key alice.key --out alice.evidence",
        "folkmoot user attest did:key:z6Mk… --operator operator.key --json",
    ),
)
@click.argument("who", type=WhoType())
@click.option("--key", "key_file", type=KEY_PATH, help="A key file of the account: compares, and signs.")
@out_option
@operator_option
@target_options
@json_option
def attest_command(
    who: Who, key_file: Path | None, out: Path | None, operator: Path | None, target: Target, output: Output
) -> int:
    """Have every replica attest that what an account took back is gone.

    WHO is an account (did:key:z6Mk…), a handle, or a key file. Each node looks through its own store and
    signs what it found; here the signatures are checked, that all of the account was looked through, and that
    all replicas know the same to be taken back. With --key it is compared with what the account signed.
    Without, an operator's key is needed, but for a closed account.

    Exit code 3 says that a replica does not attest it, or something is left.
    """
    from folkmoot.cli.clients import operator_of

    if out is not None:
        require_absent(out)
    key = None if key_file is None else read_key(key_file)
    signer = None if key is not None else operator_of(target, operator)

    async def talk(client: Client) -> Evidence:
        from folkmoot.cli.users.purging import Purge

        account = await who.found(client)
        if key is None:
            return await collected(client, account, None, None, output)
        if key.owner != account:
            raise OperatorError(
                f"{key_file} is a key of {account_to_text(key.owner)}, not of {account_to_text(account)}",
                hint=f"folkmoot keys show {key_file}",
            )
        await client.auth(key)
        with progress_bar("cells listed", quiet=output.as_json) as progress:
            listed = await Purge(client, key, output.note).survey(progress)
        return await collected(client, account, listed, key, output)

    evidence = converse(target, talk, operator=signer, patience_s=PATIENCE_S)
    value, lines, code = told(evidence)
    write(out, evidence, key, output)
    output.result(value | {"file": None if out is None else str(out)}, lines)
    return code


async def collected(
    client: Client, account: bytes, listed: Survey | None, key: KeyPair | None, output: Output
) -> Evidence:
    """Ask all nodes about an account.

    Args:
        client: may ask about it.
        account: whose (34 bytes).
        listed: what it has taken back; None when that could not be listed.
        key: is to sign the evidence.
        output: where progress is shown.
    """
    from folkmoot.cli.users.attesting import Collection

    with progress_bar("nodes", quiet=output.as_json) as progress:
        collection = Collection(client, account, progress)
        return await collection.collect(None if listed is None else listed.marks, key)


def require_absent(out: Path) -> None:
    """Refuse to write evidence over something.

    Raises:
        OperatorError: something is there.
    """
    if out.exists():
        hint = f"another name, or folkmoot user verify {out}"
        raise OperatorError(f"{out} exists, and is never overwritten", hint=hint)


def write(out: Path | None, evidence: Evidence, key: KeyPair | None, output: Output) -> None:
    """Keep the evidence, if that is wanted.

    Raises:
        OperatorError: something is there.
    """
    if out is None:
        return
    require_absent(out)
    replace_file(out, evidence.encode(key))
    output.note(f"the evidence is in {out}; folkmoot user verify {out} checks it, without any cluster")


def is_evidence(file: Path) -> bool:
    """Whether a file begins as evidence does."""
    with file.open("rb") as opened:
        return opened.read(len(MAGIC)) == MAGIC


def read_evidence(file: Path) -> Evidence:
    """What is in a file, every signature checked.

    Raises:
        OperatorError: it is damaged, or not what was signed.
    """
    with file.open("rb") as opened:
        data = opened.read(EVIDENCE_BYTES + 1)
    try:
        return Evidence.decode(data)
    except WireError as error:
        raise OperatorError(
            f"{file}: {error.message}", hint="another copy of the file, or folkmoot user attest again"
        ) from error


def told(evidence: Evidence) -> tuple[dict[str, Any], list[str], int]:
    """What evidence comes to: for programs, in words, and as an exit code."""
    judged = judge(evidence)
    attested = all(each.stands for each in judged)
    value = {
        "account": account_to_text(evidence.account),
        "cluster": evidence.cluster,
        "made": utc_text(evidence.made_us),
        "attested": attested,
        "taken_back": None if evidence.marks is None else evidence.marks.count,
        "signer": None if evidence.signer is None else account_to_text(evidence.signer),
        "nodes": [_value(each) for each in judged],
    }
    return value, _lines(evidence, judged, attested=attested), OK if attested else DEGRADED


def _value(judged: Judged) -> dict[str, Any]:
    boot, change = judged.mark or (None, None)
    return {
        "node": judged.asked.node.hex(),
        "name": judged.asked.name,
        "replica": judged.asked.replica,
        "gone": judged.gone,
        "left": judged.left,
        "media": judged.media,
        "free_pages_clean": judged.proven,
        "boot": boot,
        "change": change,
        "complaints": list(judged.complaints),
    }


def _lines(evidence: Evidence, judged: Sequence[Judged], *, attested: bool) -> list[str]:
    rows = [
        {
            "node": each.asked.name,
            "replica": each.asked.replica,
            "gone": None if each.mark is None else each.gone,
            "left": None if each.mark is None else each.left,
            "media": None if each.mark is None else each.media,
            "free pages": _free_pages(each),
            "complaint": "; ".join(each.complaints) or None,
        }
        for each in judged
    ]
    if evidence.marks is None:
        compared = "compared with each other, since what the account signed could not be listed"
    else:
        compared = f"compared with the {evidence.marks.count:,} records by which the account took things back"
    replicas = sum(each.asked.replica for each in judged)
    verdict = "NOT attested: see the complaints"
    if attested:
        verdict = f"attested by all {replicas} replicas: nothing that can be taken back is left"
    return [
        f"{account_to_text(evidence.account)} in cluster {evidence.cluster}, {utc_text(evidence.made_us)}",
        *table(rows, COLUMNS),
        f"{verdict}; {compared}",
        *([FREE_PAGES] if any(_free_pages(each) == UNCLEAN for each in judged) else []),
        BEYOND,
    ]


def _free_pages(judged: Judged) -> str | None:
    """What its statements say of them; a node that gave its copy away has kept nothing, but perhaps bytes."""
    if judged.mark is None:
        return None
    return CLEAN if judged.proven else UNCLEAN
