"""The CA and what it signs, as files."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from folkmoot.cli.commands.cert import command
from folkmoot.node.certificates import (
    CertificateError,
    create_ca,
    create_node,
    read_certificate,
)
from folkmoot.protocol.node_name import NodeName

from tests.small_disks import files_up_to

NODE = "0123456789abcdef0123456789abcdef"


def test_a_node_is_named_by_its_certificate(tmp_path: Path) -> None:
    ca = read_certificate(create_ca(tmp_path / "ca", "town"))
    node = read_certificate(create_node(tmp_path / "ca", tmp_path / "node", "town", NODE))
    assert (ca.name, ca.is_ca) == (NodeName("town", None), True)
    assert (node.name, node.is_ca) == (NodeName("town", bytes.fromhex(NODE)), False)
    assert node.not_before < datetime.now(UTC) < node.not_after <= ca.not_after
    assert (tmp_path / "node/ca.crt").read_bytes() == (tmp_path / "ca/ca.crt").read_bytes()
    for key in (tmp_path / "ca/ca.key", tmp_path / "node/node.key"):
        assert key.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "node").stat().st_mode & 0o777 == 0o700


def test_a_node_never_outlives_its_ca(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    create_ca(tmp_path, "town", days=3, now=now)
    node = read_certificate(create_node(tmp_path, tmp_path / "node", None, NODE, days=9, now=now))
    assert node.not_after <= now + timedelta(days=3)


def test_an_expired_ca_signs_nothing(tmp_path: Path) -> None:
    create_ca(tmp_path, "town", days=1, now=datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(CertificateError, match="expired on 2020-01-02"):
        create_node(tmp_path, tmp_path / "node", "town", NODE)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    create_ca(tmp_path, "town")
    kept = (tmp_path / "ca.key").read_bytes()
    with pytest.raises(CertificateError, match="never overwritten"):
        create_ca(tmp_path, "town")
    create_node(tmp_path, tmp_path / "node", "town", NODE)
    with pytest.raises(CertificateError, match="never overwritten"):
        create_node(tmp_path, tmp_path / "node", "town", NODE)
    assert (tmp_path / "ca.key").read_bytes() == kept


def test_mistakes_are_said(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match="no cluster id"):
        create_ca(tmp_path, "Town Hall")
    with pytest.raises(CertificateError, match=r"ca\.crt: No such file"):
        create_node(tmp_path, tmp_path / "node", "town", NODE)
    create_ca(tmp_path / "ca", "town")
    create_ca(tmp_path / "other", "town")
    with pytest.raises(CertificateError, match="no node id"):
        create_node(tmp_path / "ca", tmp_path / "node", "town", "42")
    with pytest.raises(CertificateError, match="not the CA of cluster village"):
        create_node(tmp_path / "ca", tmp_path / "node", "village", NODE)
    (tmp_path / "ca/ca.key").write_bytes((tmp_path / "other/ca.key").read_bytes())
    with pytest.raises(CertificateError, match="not the key of"):
        create_node(tmp_path / "ca", tmp_path / "node", "town", NODE)
    (tmp_path / "ca/ca.key").unlink()
    with pytest.raises(CertificateError, match="stays where"):
        create_node(tmp_path / "ca", tmp_path / "node", "town", NODE)
    (tmp_path / "ca/ca.crt").write_text("hello")
    with pytest.raises(CertificateError, match="no certificate in PEM form"):
        read_certificate(tmp_path / "ca/ca.crt")


@pytest.mark.parametrize(
    "uri",
    [
        f"folkmoot:town/{NODE[:-1]}",
        f"folkmoot:Town/{NODE}",
        f"spiffe://town/{NODE}",
        f"folkmoot:town/{NODE}/x",
    ],
)
def test_other_uris_name_nobody(uri: str) -> None:
    assert NodeName.parse(uri) is None


def test_the_commands_report_what_they_made(tmp_path: Path) -> None:
    runner = CliRunner()
    ca, node = tmp_path / "ca", tmp_path / "node"
    made = runner.invoke(command, ["create-ca", "--cluster", "town", "--out", str(ca), "--json"])
    assert json.loads(made.stdout)["kind"] == "ca"
    line = ["create-node", "--ca", str(ca), "--node-id", NODE, "--out", str(node), "--days", "30"]
    assert "Next: put the files" in runner.invoke(command, line).stdout
    shown = json.loads(runner.invoke(command, ["show", str(node / "node.crt"), "--json"]).stdout)
    assert (shown["cluster"], shown["node"], shown["expired"]) == ("town", NODE, False)
    assert isinstance(runner.invoke(command, line).exception, CertificateError)


def test_a_disk_that_fills_up_leaves_no_key_in_the_way(tmp_path: Path) -> None:
    create_ca(tmp_path, "town")
    key_bytes = (tmp_path / "ca.key").stat().st_size
    with files_up_to(key_bytes + 10), pytest.raises(CertificateError, match=r"node\.crt: File too large"):
        create_node(tmp_path, tmp_path / "node", "town", NODE)
    assert list((tmp_path / "node").iterdir()) == []
    create_node(tmp_path, tmp_path / "node", "town", NODE)
