"""A node that cannot start says why, in one sentence with a place in it, and ends with exit code 1."""

from __future__ import annotations

import random
import shutil
import socket
from pathlib import Path

import pytest
from folkmoot.cli import exit_codes
from folkmoot.protocol.errors import LEVEL_UNREACHABLE, WireError
from folkmoot.protocol.record import Record

from tests.integration.processes import NotReady, Process, client, fails, lay_out, node
from tests.node.people import Author
from tests.read_only import read_only

pytestmark = pytest.mark.cluster


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration of a node that could start."""
    return lay_out(tmp_path / "town").config_file("eu-1")


def set_listen(config: Path, line: str) -> None:
    config.write_text(config.read_text() + f"\n[listen]\n{line}\n")


async def test_two_daemons_on_one_directory(config: Path) -> None:
    with node(config) as first:
        ended = fails(config, "--set", "listen.clients=127.0.0.1:0")
        assert ended.code == exit_codes.FAILED
        assert ended.error["name"] == "store_locked"
        assert f"in use by process {first.pid}" in ended.error["message"]
        async with client(first.address) as served:
            assert (await served.put_one(Author(1).post(), "all"))["status"] == "stored"


@pytest.mark.parametrize("key", ["clients", "peers", "datagrams"])
def test_a_busy_port(config: Path, key: str) -> None:
    kind = socket.SOCK_DGRAM if key == "datagrams" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if key != "datagrams":
            taken.listen()
        port = taken.getsockname()[1]
        ended = fails(config, "--set", f"listen.{key}=127.0.0.1:{port}")
        assert ended.code == exit_codes.FAILED
        assert ended.error["name"] == "config_error"
        assert f"listen.{key}: cannot listen on 127.0.0.1:{port}" in ended.error["message"]


def test_typos_are_all_reported_with_their_lines(config: Path) -> None:
    lines = config.read_text().splitlines()
    lines += ["[stroe]", 'disk_cap = "1GiB"', "[log]", 'levl = "info"']
    lines = [line for line in lines if line != "[log]" or line is lines[-2]]
    config.write_text("\n".join([*lines, ""]))
    ended = fails(config)
    assert ended.code == exit_codes.FAILED
    problems = ended.error["problems"]
    assert len(problems) >= 2
    for word in ("stroe", "levl"):
        number = next(n for n, line in enumerate(lines, 1) if word in line)
        assert any(f"{config}:{number}:" in problem and word in problem for problem in problems), problems
    assert "did you mean store?" in ended.error["message"]


@pytest.mark.parametrize("text", ["[node\n", "a = \n", "\x00"])
def test_a_file_that_is_not_toml(config: Path, text: str) -> None:
    config.write_text(text)
    ended = fails(config)
    assert ended.code == exit_codes.FAILED
    assert f"{config}:1:" in ended.error["message"]


def test_listening_to_the_world_without_certificates(config: Path) -> None:
    set_listen(config, 'clients = "0.0.0.0:0"')
    ended = fails(config)
    assert ended.code == exit_codes.FAILED
    assert "folkmoot cert create" in ended.error["message"]


def test_certificates_that_are_not_there(config: Path) -> None:
    config.write_text(config.read_text().replace('mode = "off"', 'mode = "mutual"'))
    ended = fails(config)
    assert ended.code == exit_codes.FAILED
    assert "tls.ca" in ended.error["message"] and "folkmoot cert" in ended.error["message"]


def test_keys_that_others_can_read(config: Path) -> None:
    key = config.parent / "keys" / "service.key"
    key.chmod(0o644)
    ended = fails(config)
    assert ended.code == exit_codes.FAILED
    assert f"chmod 600 {key}" in ended.error["message"]


def test_a_store_of_another_cluster(config: Path) -> None:
    with node(config) as process:
        process.end()
    config.write_text(config.read_text().replace('id = "town"', 'id = "village"'))
    ended = fails(config)
    assert ended.code == exit_codes.FAILED
    assert ended.error["name"] == "wrong_store"
    assert "cluster town, not village" in ended.error["message"]


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
def test_a_directory_that_cannot_be_written(config: Path, used: bool) -> None:
    if used:
        with node(config) as process:
            process.end()
    with read_only(config.parent) as prefix:
        ended = fails(config, prefix=prefix)
    assert ended.code == exit_codes.FAILED
    assert "cannot be written" in ended.error["message"]


async def filled(config: Path) -> list[Author]:
    """Run a node long enough to keep some thousand posts."""
    authors = [Author(number) for number in range(1, 11)]
    with node(config) as process:
        async with client(process.address) as served:
            for author in authors:
                results, _ = await served.put(*(author.post("x" * 500) for _ in range(100)), level="all")
                assert {result["status"] for result in results} == {"stored"}
        assert process.end() == 0
    return authors


async def test_a_damaged_store(config: Path) -> None:
    """A node on damaged bytes ends with a sentence, or serves what is whole and says what is not."""
    authors = await filled(config)
    data = config.parent / "store" / "data.mdb"
    whole = data.read_bytes()
    source = random.Random(1)
    for damaged in (
        b"",
        whole[: len(whole) // 2 // 4096 * 4096],
        bytes(8192) + whole[8192:],
        source.randbytes(8192) + whole[8192:],
    ):
        _refuses_to_start(config, data, damaged)
    for _ in range(3):
        flipped = bytearray(whole)
        for _ in range(40):
            place = source.randrange(8192, len(whole))
            flipped[place] ^= 1 << source.randrange(8)
        data.write_bytes(flipped)
        await _serves_only_what_is_whole(config, authors)
    data.write_bytes(whole)
    with node(config) as process:
        async with client(process.address) as served:
            assert len(await served.feed(authors[0].account, "all")) > 0


def _refuses_to_start(config: Path, data: Path, damaged: bytes) -> None:
    data.write_bytes(damaged)
    ended = fails(config)
    assert ended.code == exit_codes.FAILED
    assert ended.error["name"] == "store_corrupt"
    assert "is damaged" in ended.error["message"] and "store verify" in ended.error["message"]
    assert "empty its store/" in ended.error["message"] and "backup" not in ended.error["message"]


async def _serves_only_what_is_whole(config: Path, authors: list[Author]) -> None:
    try:
        process = Process(config)
    except NotReady as error:
        assert "is damaged" in str(error)
        return
    try:
        async with client(process.address) as served:
            for author in authors:
                try:
                    items = await served.feed(author.account, "one")
                except WireError as error:
                    assert error.kind is LEVEL_UNREACHABLE, "no other replica could answer instead"
                    assert "this node could not read its own copy" in error.message
                    assert "is damaged" in process.log
                else:
                    assert all(_is_whole(item["record"], author) for item in items)
        assert process.end() == 0
    finally:
        process.kill()


def _is_whole(frame: list[bytes], author: Author) -> bool:
    record = Record.from_wire(frame)
    record.verify()
    return record.author == author.account


def test_a_directory_that_was_never_made(tmp_path: Path) -> None:
    config = lay_out(tmp_path / "town").config_file("eu-1")
    for name in ("keys", "node.id"):
        path = config.parent / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    ended = fails(config)
    assert ended.code == exit_codes.FAILED
    assert "folkmoot init" in ended.error["message"]
