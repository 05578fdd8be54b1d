"""`folkmoot user export`, `import` and `verify`: accounts that move."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, OK
from folkmoot.cli.numbers import counted
from folkmoot.cli.output import Output, json_option, utc_text
from folkmoot.cli.progress import progress_bar
from folkmoot.cli.users.archive_files import Contents, check
from folkmoot.cli.users.changing import PATIENCE_S
from folkmoot.cli.users.conduct import KEY_PATH
from folkmoot.cli.users.exporting import export, part_of
from folkmoot.cli.users.proving import is_evidence, read_evidence, told
from folkmoot.cli.users.showing import described
from folkmoot.cli.users.who import Who, WhoType
from folkmoot.node.data_directory import read_key
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.ring.levels import LEVELS

if TYPE_CHECKING:
    from folkmoot.cli.users.bringing import Brought
    from folkmoot.cli.users.exporting import Exported
    from folkmoot.protocol.client import Client

ARCHIVE = click.Path(path_type=Path, exists=True, dir_okay=False)
UNSIGNED = "nobody signed that this is all: every record proves itself, and some may be missing"
_NAMED: Final = {
    "profile": ("profile field", "profile fields"),
    "listed": ("member of a list", "members of lists"),
}


@click.command(
    "export",
    epilog=examples(
        "folkmoot user export alice.key alice.archive --key alice.key",
        "folkmoot user export @marit marit.archive --cluster local --json",
    ),
)
@click.argument("who", type=WhoType())
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--key", "key_file", type=KEY_PATH, help="A key file of the account: adds what is private, and signs."
)
@click.option(
    "--level", type=click.Choice(LEVELS), default="quorum", show_default=True, help="What reads ask."
)
@target_options
@json_option
def export_command(
    who: Who, file: Path, key_file: Path | None, level: str, target: Target, output: Output
) -> None:
    """Write all of an account into one FILE: its history, its records, and its media.

    WHO is an account (did:key:z6Mk…), a handle, or a key file. With --key what only the account may read or
    find is in it, too (bookmarks, mutes; its likes, reposts and reports of what others wrote), and the key
    signs that nothing is missing. An export that breaks off is gone on with by the same command.
    """
    key = None if key_file is None else read_key(key_file)

    async def talk(client: Client) -> Exported:
        account = await who.found(client)
        if key is not None and key.owner != account:
            raise OperatorError(
                f"{key_file} is a key of {account_to_text(key.owner)}, not of {account_to_text(account)}",
                hint=f"folkmoot keys show {key_file}",
            )
        with progress_bar("records", quiet=output.as_json) as progress:
            return await export(client, account, file, key, level, progress)

    try:
        made = converse(target, talk, patience_s=PATIENCE_S)
    except BaseException:
        if part_of(file).exists():
            output.note("the export is not finished; the same command goes on with it")
        raise
    value = {
        **described(made.chain.state),
        "file": str(file),
        "records": made.records,
        "resumed": made.resumed,
        "private": made.header.private,
        "signed": key is not None,
        "media": made.media,
        "media_lacking": made.lacking,
    }
    held = f"{counted(made.records, 'record')} and {counted(made.chain.number, 'operation')}"
    lines = [
        f"{file}: {held} of {value['account']}",
        "signed, with what is private" if key is not None else f"without what is private; {UNSIGNED}",
        *([counted(made.media, "medium", "media")] if made.media else []),
        *(
            [f"{counted(made.lacking, 'medium', 'media')} that it shows no node has any more"]
            if made.lacking
            else []
        ),
    ]
    output.result(value, lines)


@click.command(
    "verify", epilog=examples("folkmoot user verify alice.archive", "folkmoot user verify a.evidence --json")
)
@click.argument("file", type=ARCHIVE)
@json_option
def verify_command(file: Path, output: Output) -> int:
    """Check an archive, or the evidence of an attestation, without any cluster.

    Of an archive every signature is checked, and that nothing was left out or changed; what is wrong is named
    with its place in the FILE. Of evidence every signature is checked, and what the nodes said is judged
    again; exit code 3 says that it does not attest that all is gone.
    """
    if is_evidence(file):
        evidence = read_evidence(file)
        value, lines, code = told(evidence)
        by = "nobody of the account" if evidence.signer is None else account_to_text(evidence.signer)
        output.result(value, [*lines, f"every signature holds; which nodes were asked is signed by {by}"])
        return code
    with progress_bar("bytes", quiet=output.as_json) as progress:
        contents = check(file, progress)
    value = _value(file, contents)
    output.result(value, _lines(contents))
    return OK


@click.command(
    "import",
    epilog=examples(
        "folkmoot user import alice.archive --cluster local",
        "folkmoot user import alice.archive --node 10.0.0.7:7400 --ca ca.crt --operator operator.key",
    ),
)
@click.argument("file", type=ARCHIVE)
@click.option(
    "--level", type=click.Choice(LEVELS), default="quorum", show_default=True, help="What writes wait for."
)
@click.option(
    "--operator",
    type=ARCHIVE,
    help="An operator's key file: quotas do not slow operators. [default: a local cluster's own]",
)
@click.option("--again", is_flag=True, help="Bring everything again, also what an earlier run has settled.")
@target_options
@json_option
def import_command(
    file: Path, level: str, operator: Path | None, again: bool, target: Target, output: Output
) -> int:
    """Bring an account into another cluster from its archive, FILE; ids and signatures stay as they are.

    The archive is checked first. The account's operations are made again one by one, and what a key has
    signed is brought before the operation that revokes it. An import that breaks off goes on where it was,
    and one that is done changes nothing.

    Exit code 3 says that something was left out: records that the policy there refuses, or operations that
    cannot be made there, such as taking a handle that is another's.
    """
    from folkmoot.cli.clients import journals_of, operator_of
    from folkmoot.cli.users.bringing import Importer, checkpoint_name

    with progress_bar("bytes", quiet=output.as_json) as progress:
        contents = check(file, progress)

    async def talk(client: Client) -> Brought:
        cluster = (await client.ready()).cluster
        checkpoint = journals_of(target, cluster) / checkpoint_name(contents, level)
        if again:
            checkpoint.unlink(missing_ok=True)
        with progress_bar("records", quiet=output.as_json) as progress:
            importer = Importer(client, file, contents, level, checkpoint, progress, output.note)
            return await importer.run()

    brought = converse(target, talk, operator=operator_of(target, operator), patience_s=PATIENCE_S)
    return _report(file, contents, brought, output)


def _report(file: Path, contents: Contents, brought: Brought, output: Output) -> int:
    statuses = {name: count for name, count in brought.statuses.items() if count}
    value = {
        "file": str(file),
        "account": account_to_text(contents.header.account),
        "records": dict(statuses),
        "operations": brought.operations,
        "media": brought.media,
        "left_out": brought.left_out or None,
        "reasons": dict(brought.reasons),
    }
    told = ", ".join(f"{count:,} {name}" for name, count in sorted(statuses.items())) or "none"
    lines = [f"{value['account']}: {counted(brought.operations, 'operation')} made; records: {told}"]
    lines += [f"left out: {brought.left_out}, nor what follows it"] if brought.left_out else []
    lines += [f"refused ({count:,}): {reason}" for reason, count in brought.reasons.most_common()]
    output.result(value, lines)
    return OK if brought.complete else DEGRADED


def _value(file: Path, contents: Contents) -> dict[str, Any]:
    header, signer = contents.header, contents.seal.signer
    return {
        **described(contents.chain.state),
        "file": str(file),
        "cluster": header.cluster,
        "made": utc_text(header.made_us),
        "private": header.private,
        "records": contents.seal.manifest.records,
        "kinds": dict(contents.kinds),
        "media": len(contents.media),
        "unknown": dict(contents.unknown),
        "signer": None if signer is None else account_to_text(signer),
    }


def _lines(contents: Contents) -> list[str]:
    header, signer, state = contents.header, contents.seal.signer, contents.chain.state
    kinds = ", ".join(
        counted(count, *_NAMED.get(kind, (kind,))) for kind, count in contents.kinds.most_common()
    )
    vouched = UNSIGNED if signer is None else f"signed by {account_to_text(signer)}: nothing is missing"
    unknown = ", ".join(f"{count:,} {name}" for name, count in contents.unknown.items())
    return [
        account_to_text(header.account) + (f" (@{state.handle})" if state.handle else ""),
        f"made {utc_text(header.made_us)} in cluster {header.cluster}, "
        + ("with" if header.private else "without")
        + " what is private",
        f"{kinds or 'no records'}; {counted(contents.chain.number, 'operation')}",
        *(
            [f"{counted(len(contents.media), 'medium', 'media')}, each with the hash it is named by"]
            if contents.media
            else []
        ),
        *([f"of a later version, and passed by: {unknown}"] if unknown else []),
        f"every signature holds; {vouched}",
    ]
