"""`folkmoot media`: pictures, sound and films, to a cluster and back."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from folkmoot.cli.connection import Target, converse, target_options
from folkmoot.cli.errors import OperatorError, Usage
from folkmoot.cli.examples import examples
from folkmoot.cli.exit_codes import DEGRADED, OK
from folkmoot.cli.media.files import MediaFile, MediaRef, MediaType, bring, media_name
from folkmoot.cli.media.sealed_command import sealed
from folkmoot.cli.numbers import FiniteFloat
from folkmoot.cli.output import Output, json_option, table
from folkmoot.cli.progress import progress_bar
from folkmoot.cli.social.flags import Speaker, speaker_options
from folkmoot.cli.social.own_key import key_option, own_key
from folkmoot.protocol.identity import account_to_text
from folkmoot.protocol.media.kinds import TYPES

if TYPE_CHECKING:
    from folkmoot.protocol.client import Client

PATIENCE_S = 60.0
CATEGORY = "[a-z0-9][a-z0-9-]{0,63}"


@click.group()
def command() -> None:
    """Upload, fetch, list and hash the pictures, sound and films that posts show.

    A medium belongs to the account that uploaded it and is named by the SHA-256 of its bytes:
    did:key:z6Mk…/HASH.
    """


command.add_command(sealed)


@command.command(
    epilog=examples("folkmoot media put heron.jpg", "folkmoot media put song.webm --type audio/webm --json")
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--type", "mime", type=click.Choice(TYPES), help="What it is. [default: by its first bytes]")
@speaker_options
def put(file: Path, mime: str | None, speaker: Speaker) -> int:
    """Upload FILE, or what is missing of it.

    Given again after it broke off, it goes on where it was. What no post shows within a day (as the cluster
    is set up) is given up again; `folkmoot post --image` uploads and posts in one.
    """
    found = MediaFile.look_at(file, mime)
    signer = own_key(speaker.key_file, speaker.output)

    async def talk(client: Client) -> dict[str, Any]:
        return await bring(client, signer, found, speaker.level, speaker.output)

    told = converse(speaker.target, talk, patience_s=PATIENCE_S)
    name = media_name(signer.owner, found.manifest.hash)
    about = {"medium": name, "hash": found.manifest.hash, "size": found.manifest.size}
    value = {**about, "mime": found.manifest.mime, "achieved": told["achieved"]}
    speaker.output.result(value, f"uploaded: {name} ({found.manifest.mime}, {found.manifest.size} bytes)")
    return OK


@command.command(epilog=examples("folkmoot media get did:key:z6Mk…/9f86d081… -o heron.jpg"))
@click.argument("medium", type=MediaType())
@click.option(
    "-o",
    "--output-file",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="Where to write it; what stands there is replaced once all of it has come.",
)
@target_options
@json_option
def get(medium: MediaRef, file: Path, target: Target, output: Output) -> int:
    """Fetch a medium and write it to a file.

    The bytes are compared with the hash in its name, so no node has to be trusted.
    """
    # Imported here so that a command's help need not wait for the client.
    from folkmoot.protocol.client import media

    aside = file.with_name(f".{file.name}.{os.getpid()}.part")  # which no file of the user's is called

    async def talk(client: Client) -> Any:
        manifest = await media.stat(client, medium.account, medium.hash)
        with aside.open("xb") as opened, progress_bar("bytes", quiet=output.as_json) as progress:
            await media.fetch(client, medium.account, manifest, opened.write, on_progress=progress)
            opened.flush()
            os.fsync(opened.fileno())
        return manifest

    try:
        manifest = converse(target, talk, patience_s=PATIENCE_S)
        aside.replace(file)
    except OSError as error:
        raise OperatorError(f"{file} cannot be written: {error.strerror}") from error
    finally:
        aside.unlink(missing_ok=True)
    about = {"medium": str(medium), "file": str(file), "size": manifest.size, "mime": manifest.mime}
    output.result(about, f"{file}: {manifest.mime}, {manifest.size} bytes")
    return OK


@command.command(epilog=examples("folkmoot media show did:key:z6Mk…/9f86d081… --json"))
@click.argument("medium", type=MediaType())
@target_options
@json_option
def show(medium: MediaRef, target: Target, output: Output) -> int:
    """Show what a medium is, and what came of looking at it.

    Nodes that look at pictures before they show them tell what they found, `screening`; `decided` is what
    people decided about it. Nothing is fetched.
    """

    async def talk(client: Client) -> dict[str, Any]:
        return dict(await client.call("media.stat", {"account": medium.account, "hash": medium.hash}))

    told = converse(target, talk)
    screening = told.get("screening")
    value = {"medium": str(medium), "mime": told["mime"], "size": told["size"], "screening": screening}
    value["decided"] = told.get("decided")
    lines = [f"{medium}: {told['mime']}, {told['size']} bytes"]
    if screening is not None:
        lines += [f"  {name}: {each}" for name, each in screening.items()]
    if value["decided"] is not None:
        why = f"folkmoot moderate show {account_to_text(medium.account)}/media:{medium.hash.hex()}"
        lines.append(f"  decided: {value['decided']}; {why}")
    output.result(value, lines)
    return OK


@command.command(
    "hash", epilog=examples("folkmoot media hash known/*.jpg --category spam >> lists/known.txt")
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--category", help="What the list says of them: small letters, digits and hyphens.")
@click.option(
    "--max-megapixels",
    type=FiniteFloat(min=0.1),
    default=64.0,
    show_default=True,
    help="The largest picture that is decoded.",
)
@json_option
def hash_files(files: tuple[Path, ...], category: str | None, max_megapixels: float, output: Output) -> int:
    """Print the lines of a hash list for some pictures or films.

    About twenty for each picture: its own PDQ hash first, then those of what is left when some of it is cut
    off or written over. Of a film, as many for each of some frames: leave out by hand those that other films
    have, too. Needs the extra `[media]`, and `[video]` for films. What cannot be hashed becomes a comment,
    and the exit code says so.
    """
    # Imported here so that a command's help need not wait for it.
    from folkmoot.cli.media.hashing import hashes_of

    if category is not None and not re.fullmatch(CATEGORY, category):
        raise Usage("a category is 1 to 64 small letters, digits and hyphens, such as spam")
    found = hashes_of(files, int(max_megapixels * 1_000_000))
    value = [
        {
            "file": str(each.file),
            "hashes": [one.hex() for one in each.judged.hashes],
            "problem": each.problem,
        }
        for each in found
    ]
    output.result({"files": value}, [line for each in found for line in each.lines(category)])
    return OK if all(each.problem is None for each in found) else DEGRADED


@command.command("ls", epilog=examples("folkmoot media ls", "folkmoot media ls --key alice.key --json"))
@key_option
@target_options
@json_option
def list_media(key_file: Path | None, target: Target, output: Output) -> int:
    """List what your account has uploaded, and how much it may.

    What is `unused` no post shows any more, as far as any node knows; it is given up after a while. What is
    damaged on the node that was asked is fetched anew from another when somebody looks at it.
    """
    signer = own_key(key_file, output, make=False)

    async def talk(client: Client) -> dict[str, Any]:
        await client.auth(signer)
        told = await client.call("media.list", {})
        page = told
        while "next" in page:
            page = await client.call("media.list", {"after": page["next"]})
            told["items"] += page["items"]
            told["damaged"] += page["damaged"]
        told.pop("next", None)
        return dict(told)

    told = converse(target, talk)
    damaged = [each.hex() for each in told["damaged"]]
    rows = [{**each, "hash": each["hash"].hex()} for each in told["items"]]
    used = f"{told['used']} of {told['quota']} bytes"
    lines = table(rows, ("hash", "mime", "size", "unused")) if rows else []
    lines += [f"{each}  damaged on the node that was asked" for each in damaged]
    lines.append(used if lines else f"no media; {used}")
    output.result({**told, "items": rows, "damaged": damaged}, lines)
    return OK
