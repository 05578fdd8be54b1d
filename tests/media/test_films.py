"""Films that are looked at before they are shown, on whole nodes, and hashed on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from folkmoot.cli.exit_codes import DEGRADED, OK
from folkmoot.cli.main import run
from folkmoot.protocol.errors import REFUSED_BY_POLICY, WireError

from tests.media import pictures
from tests.media.test_screening import lists, refused, stat
from tests.media.uploading import finish, read, send, upload
from tests.moderation.drawings import bright, drawing, ours
from tests.moderation.filming import film
from tests.node.harness import founded
from tests.node.people import Author

pytestmark = pytest.mark.timeout(120)

FINE, KNOWN, WORST = 1, 2, 3  # as `lists` has them


def showing(*seeds: int) -> bytes:
    """A film that shows some drawings, each for a second."""
    return film([drawing(seed, 480, 360) for seed in seeds for _ in range(10)])


async def test_films_are_found_withheld_and_refused_as_pictures_are(tmp_path: Path) -> None:
    author = Author(1)
    fine, known, worst = (showing(FINE, seed, FINE) for seed in (FINE, KNOWN, WORST))
    async with (
        founded(tmp_path, nodes=1, replicas=1, screening=lists(tmp_path)) as town,
        town.client(town[0]) as client,
    ):
        await client.auth(author)
        manifest = await upload(client, fine, "video/mp4")
        assert (await stat(client, author, manifest.hash))["screening"] == {"status": "clear"}
        async with town.client(town[0]) as anybody:
            assert await read(anybody, author.account, manifest.hash) == fine
        manifest = await upload(client, known, "video/mp4")
        screening = (await stat(client, author, manifest.hash))["screening"]
        assert (screening["status"], screening["list"]) == ("matched", "known")
        await refused(town[0], town, author, manifest.hash, REFUSED_BY_POLICY)
        manifest = pictures.of(worst, "video/mp4")
        await send(client, worst, manifest)
        with pytest.raises(WireError) as told:
            await finish(client, manifest)
        assert told.value.kind is REFUSED_BY_POLICY and told.value.message == "this medium is not taken"
        [file] = (tmp_path / "node-1" / "media").rglob(manifest.hash.hex())
        assert "sealed" in file.parts, "it lies there alone"


def test_a_film_can_be_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "film.mp4").write_bytes(showing(KNOWN, WORST))
    (tmp_path / "part.mp4").write_bytes(showing(KNOWN)[:500])
    assert run(["media", "hash", str(tmp_path / "film.mp4"), "--json"]) == OK
    [told] = json.loads(capsys.readouterr().out)["files"]
    for seed in (KNOWN, WORST):
        own = int.from_bytes(ours.pdq(bright(drawing(seed)))[0])
        assert min((own ^ int(each, 16)).bit_count() for each in told["hashes"]) <= 31
    assert run(["media", "hash", str(tmp_path / "part.mp4")]) == DEGRADED
    assert "no whole picture or film" in capsys.readouterr().out
