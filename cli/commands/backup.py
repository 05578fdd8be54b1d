"""`folkmoot backup`: copies of a node's cells, made while it runs, checked, and put into new nodes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from folkmoot.cli.backups import Throttle, described, new_node, newest, now_us, verified
from folkmoot.cli.commands.store import data_option
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.errors import OperatorError
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, FAILED, OK
from folkmoot.cli.numbers import FiniteFloat
from folkmoot.cli.output import Output, json_option, table, utc_text
from folkmoot.cli.progress import progress_bar
from folkmoot.protocol.limits import MIB

if TYPE_CHECKING:
    from folkmoot.cli.rejoining import Rejoined
    from folkmoot.storage.backup.manifest import Backup

LEVELS: Final = ("one", "local_quorum", "quorum", "each_quorum", "all")
COLUMNS: Final = ("name", "state", "taken", "node", "cells", "deletions", "MiB", "stands on")
RATE_MIB_S: Final = 32.0

deletions_option = click.option(
    "--deletions-from",
    "folders",
    type=click.Path(path_type=Path, file_okay=False),
    multiple=True,
    help="Another folder of backups whose deletions are replayed. May be repeated.",
)
from_cluster_option = click.option(
    "--from-cluster", metavar="NAME", help="Accept a backup of this other cluster."
)
accept_option = click.option(
    "--accept-resurrection",
    is_flag=True,
    help="Go on although deletions that other backups have cannot be read: what they deleted returns.",
)
place_argument = click.argument("place", type=click.Path(path_type=Path))


@click.group()
def command() -> None:
    """Make, check and restore backups.

    A backup has a node's cells and nothing else: no key, no certificate, no configuration.
    """


@command.command(
    epilog=examples(
        "folkmoot backup create --data /var/lib/folkmoot --to /srv/backups",
        "folkmoot backup create --data /var/lib/folkmoot --to /srv/backups --incremental --rate 8",
    )
)
@data_option
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The folder in which backups are kept.",
)
@click.option("--incremental", is_flag=True, help="Only what changed since the newest backup of it there.")
@click.option(
    "--rate",
    type=FiniteFloat(min=0.1),
    default=RATE_MIB_S,
    show_default=True,
    help="MiB a second at most.",
)
@json_option
def create(data: Path, folder: Path, incremental: bool, rate: float, output: Output) -> int:
    """Make a backup of a node's store, whether the node runs or not.

    A directory or a disk that can only be read is backed up as well, if the node does not run.

    It holds exactly what the store held at one moment. A run that is cut off has left nothing that could be
    taken for a backup; the same command goes on where it stopped.
    """
    # Imported here so that a command's help need not wait for them.
    from folkmoot.storage.backup.create import create as create_backup
    from folkmoot.storage.lmdb_reader import open_beside
    from folkmoot.storage.store import Store

    reader = open_beside(data)
    try:
        store = Store(reader, owner=None)
        base = newest(folder, store) if incremental else None
        with progress_bar("cells", quiet=output.as_json) as show:
            made = create_backup(
                store,
                folder,
                base=base,
                now_us=now_us,
                media=data / "media",
                pace=Throttle(rate * MIB).pace,
                wait=time.sleep,
                progress=show,
            )
    finally:
        reader.close()
    told = described(made)
    lines = [f"{made.folder}: {told['cells']} cells, {told['bytes'] / MIB:.1f} MiB, as of {told['taken']}"]
    if told["media"]:
        lines.append(f"{told['media']} media, {told['media_bytes'] / MIB:.1f} MiB, with what its base has")
    if told["media_damaged"]:
        lines.append(f"{told['media_damaged']} media are damaged on this node and left out")
    if told["lanes_anew"]:
        lines.append(
            f"ranges have moved away from this node since its base, so {told['lanes_anew']} of 64 lanes were "
            "read anew"
        )
    output.result(told, lines)
    return OK


@command.command(
    epilog=examples("folkmoot backup show /srv/backups", "folkmoot backup show /srv/backups/NAME --json")
)
@place_argument
@json_option
def show(place: Path, output: Output) -> int:
    """Show one backup, or all in a folder, by their manifests.

    Exit code 3 says that one of them cannot be used; `backup verify` reads the cells, too.
    """
    from folkmoot.protocol.errors import FolkmootError
    from folkmoot.storage.backup.manifest import NAME, backups_in, chain_of, in_full, load

    place = in_full(place)
    rows: list[dict[str, Any]] = []
    for folder in [place] if (place / NAME).exists() else backups_in(place):
        try:
            backup = load(folder)
            row = described(backup)
            chain_of(backup)
        except FolkmootError as error:
            rows.append({"name": folder.name, "state": "unusable", "reason": str(error)})
        else:
            rows.append({**row, "state": "finished"})
    unusable = [row for row in rows if row["state"] == "unusable"]
    output.result(
        {"backups": rows}, [*table(rows, COLUMNS), *(f"{row['name']}: {row['reason']}" for row in unusable)]
    )
    return DEGRADED if unusable else OK


@command.command(
    epilog=examples("folkmoot backup verify /srv/backups/NAME", "folkmoot backup verify /srv/backups")
)
@place_argument
@click.option("--signatures", is_flag=True, help="Check every record's signature too.")
@json_option
def verify(place: Path, signatures: bool, output: Output) -> int:
    """Read one backup, or each in a folder, with all it stands on, and check everything a restore needs.

    That is every byte, and that its cells together are those the store had. Exit code 1 when something is not
    as it was written; what stands on that cannot be used either.
    """
    from folkmoot.storage.backup.check import check
    from folkmoot.storage.backup.manifest import NAME, backups_in, chain_of, in_full, load

    place = in_full(place)
    with progress_bar("bytes", quiet=output.as_json) as shown:
        if (place / NAME).exists():
            checked = check(chain_of(load(place)), signatures=signatures, progress=shown)
            answers = [{"name": place.name, "ok": True, **checked.to_json()}]
        else:
            folders = backups_in(place)
            if not folders:
                raise OperatorError(f"there are no backups in {place}", hint="folkmoot backup create --help")
            answers = verified(folders, signatures, shown)
    output.result(
        {"ok": all(each["ok"] for each in answers), "backups": answers},
        [
            f"{each['name']}: "
            + (f"sound, {each['cells']} cells in {each['parts']} parts" if each["ok"] else each["reason"])
            for each in answers
        ],
    )
    return OK if all(each["ok"] for each in answers) else FAILED


@command.command(
    epilog=examples(
        "folkmoot init --directory new --cluster town --name d --region eu",
        "folkmoot backup restore /srv/backups/NAME --data new",
        "folkmoot backup restore /srv/backups/NAME --data new --deletions-from /srv/other-backups",
    )
)
@click.argument("backup", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The directory of a new node, as `folkmoot init` makes it.",
)
@deletions_option
@from_cluster_option
@accept_option
@json_option
def restore(
    backup: Path,
    data: Path,
    folders: tuple[Path, ...],
    from_cluster: str | None,
    accept_resurrection: bool,
    output: Output,
) -> int:
    """Put a backup into the directory of a new node.

    The deletions of every backup in the same folder, newer ones too, are replayed first, so that nothing
    returns that any of them knows to be deleted. The node is another one than was backed up, never
    counts as the old one, and says in its status what it was made from. A store that is there is never
    overwritten. A restore that is cut off keeps the node from starting, and is run again.
    """
    import secrets

    from folkmoot.storage.backup.manifest import load
    from folkmoot.storage.backup.restore import restore as restore_store
    from folkmoot.storage.store import LOG_ID_BYTES

    owner, directory, cap_bytes = new_node(data)
    found = load(backup)
    other = from_cluster is not None and from_cluster == found.manifest.cluster
    with progress_bar("bytes", quiet=output.as_json) as shown:
        done = restore_store(
            found,
            directory,
            owner,
            log_id=secrets.token_bytes(LOG_ID_BYTES),
            cap_bytes=cap_bytes,
            beside=(found.folder.parent, *folders),
            accept_resurrection=accept_resurrection,
            other_cluster=other,
            progress=shown,
        )
    output.result(
        {
            "backup": found.manifest.id,
            "node": owner.node.hex(),
            "taken": utc_text(found.manifest.taken_us),
            "cells": done.cells,
            "deletions_replayed": done.deletions_replayed,
            "backups_left_out": done.backups_left_out,
            "deletions_left_out": done.deletions_left_out,
        },
        _restored_lines(found, owner.node, done),
    )
    return OK


@command.command(
    epilog=examples(
        "folkmoot backup join /srv/backups/NAME --node 10.0.0.1:7000 --ca ca.crt --operator operator.key",
        "folkmoot backup join /srv/backups/NAME --cluster local --level all",
    )
)
@click.argument("backup", type=click.Path(path_type=Path))
@deletions_option
@from_cluster_option
@accept_option
@click.option(
    "--level", type=click.Choice(LEVELS), default="quorum", show_default=True, help="What to wait for."
)
@click.option(
    "--operator",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="An operator's key file. [default: a local cluster's own]",
)
@target_options
@json_option
def join(
    backup: Path,
    folders: tuple[Path, ...],
    from_cluster: str | None,
    accept_resurrection: bool,
    level: str,
    operator: Path | None,
    target: Target,
    output: Output,
) -> int:
    """Join a backup into a cluster that lives: the same one, or a new one.

    Each cell is read at the level first and joined with what is known, so what has been deleted stays so,
    what is newer stays newer, and nothing is done twice; the deletions of the backups beside it go first.
    A run that is cut off, or did not reach the level, is run again.
    """
    from folkmoot.cli.clients import operator_of
    from folkmoot.cli.rejoining import rejoin
    from folkmoot.storage.backup.check import check
    from folkmoot.storage.backup.errors import RestoreWouldResurrect
    from folkmoot.storage.backup.manifest import chain_of, load
    from folkmoot.storage.backup.restore import others_beside

    key = operator_of(target, operator)
    if key is None:
        raise OperatorError("only operators may join old cells", hint="--operator KEYFILE")
    found = load(backup)
    chain = chain_of(found)
    others = others_beside((found.folder.parent, *folders), chain)
    if others.problems and not accept_resurrection:
        raise RestoreWouldResurrect(others.problems, others.unread)
    check(chain, signatures=True)
    with progress_bar("bytes", quiet=output.as_json) as shown:
        told = converse(
            target,
            lambda client: rejoin(client, chain, others.usable, level, from_cluster, shown),
            operator=key,
        )
    return _report_joined(output, found, told)


def _report_joined(output: Output, found: Backup, told: Rejoined) -> int:
    counts = {name: getattr(told, name) for name in ("sent", "joined", "deleted", "media")}
    output.result(
        {"backup": found.manifest.id, **counts, "reasons": dict(told.reasons)},
        [
            f"{told.sent} cells sent, {told.joined} of them news to the cluster; "
            f"{told.deleted} stay deleted; {told.media} media are there",
            *(f"refused: {reason}" for reason in told.reasons),
        ],
    )
    return DEGRADED if told.reasons else OK


def _restored_lines(backup: Backup, node: bytes, done: Any) -> list[str]:
    lines = [
        f"{done.cells} cells of {utc_text(backup.manifest.taken_us)} are in the new node {node.hex()}; "
        f"{done.deletions_replayed} deletions were replayed that this backup did not have"
    ]
    if done.backups_left_out:
        lines.append(
            f"{done.backups_left_out} other backups could not be read: {_up_to(done.deletions_left_out)} "
            "that they know to be deleted may be back"
        )
    return lines


def _up_to(posts: int | None) -> str:
    return "posts, nobody can say how many," if posts is None else f"up to {posts} posts"
