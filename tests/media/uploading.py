"""Uploading and reading media as a client does, chunk by chunk."""

from __future__ import annotations

from typing import Any

from folkmoot.protocol.errors import BUSY, WireError
from folkmoot.protocol.media.manifest import Manifest
from folkmoot.protocol.record import Record

from tests.media import pictures
from tests.node.harness import Client
from tests.node.people import Author
from tests.waiting import until


async def begin(client: Client, manifest: Manifest) -> dict[str, Any]:
    answer: dict[str, Any] = await client.call("media.begin", **manifest.to_wire())
    return answer


async def send(client: Client, data: bytes, manifest: Manifest) -> None:
    """Begin, and send the chunks that are missing."""
    begun = await begin(client, manifest)
    for index, chunk in enumerate(pictures.chunks(data, manifest)):
        if index not in begun["have"]:
            await client.call("media.put", hash=manifest.hash, index=index, data=chunk)


async def finish(client: Client, manifest: Manifest, level: str = "quorum") -> dict[str, Any]:
    """Finish, as often as the node says that it is not done yet."""
    answers: list[dict[str, Any]] = []

    async def done() -> bool:
        try:
            answers.append(await client.call("media.finish", hash=manifest.hash, level=level))
        except WireError as error:
            if error.kind is not BUSY:
                raise
        return bool(answers)

    await until(done, what="the upload to be kept", within_s=30)
    return answers[-1]


async def upload(client: Client, data: bytes, mime: str = "image/png", level: str = "quorum") -> Manifest:
    """All of it."""
    manifest = pictures.of(data, mime)
    await send(client, data, manifest)
    await finish(client, manifest, level)
    return manifest


async def read(client: Client, account: bytes, digest: bytes) -> bytes:
    """A whole medium."""
    first = await client.call("media.get", account=account, hash=digest, index=0)
    data = first["data"]
    for index in range(1, first["chunks"]):
        data += (await client.call("media.get", account=account, hash=digest, index=index))["data"]
    assert isinstance(data, bytes)
    return data


def post_with(author: Author, *media: Manifest, **more: Any) -> Record:
    """A post that shows some media."""
    told = [{"hash": each.hash, "mime": each.mime, "size": each.size, "alt": "a picture"} for each in media]
    return author.record("post", author.item(), {"text": "look", "media": told, **more})
