"""Reading configurations: precedence, every error with its place, and one table behind it all."""

from __future__ import annotations

from pathlib import Path

import pytest
from folkmoot.node.configuration.reading import ConfigError, LoadedConfig, load
from folkmoot.node.configuration.screening_section import ScreenedList
from folkmoot.node.configuration.settings import Founder, NodeConfig
from folkmoot.node.configuration.settings_table import fields_of, settings
from folkmoot.node.transport.interface import Address
from folkmoot.protocol.identity import KeyPair, account_to_text

ACCOUNT = KeyPair(bytes(32))
MINIMAL = '[node]\nname = "one"\n[cluster]\nid = "alpha"\n'


def write(tmp_path: Path, text: str, name: str = "folkmoot.toml") -> Path:
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def problems(tmp_path: Path, text: str, **more: dict[str, str]) -> tuple[str, ...]:
    """The problems of a configuration, their directory left out."""
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text), **more)
    return tuple(each.replace(f"{tmp_path}/", "") for each in caught.value.problems)


def test_a_minimal_file_gets_safe_defaults(tmp_path: Path) -> None:
    config = load(write(tmp_path, MINIMAL)).config
    assert config.listen.clients == Address("127.0.0.1", 0)
    assert config.tls.mode == "mutual"
    assert config.tls.ca == tmp_path / "tls" / "ca.crt"
    assert config.node.data == tmp_path
    assert config.store.disk_cap == 10 * 1024**3
    assert not config.faults.enabled


def test_every_kind_of_value_is_read(tmp_path: Path) -> None:
    text = MINIMAL + (
        'seeds = ["10.0.0.1:7000", "[::1]:7001"]\n'
        "replicas = {eu = 1, us = 2}\n"
        '[[cluster.founders]]\nid = "00112233445566778899aabbccddeeff"\nname = "one"\nregion = "eu"\n'
        f'capacity = 2\nservice_account = "{account_to_text(ACCOUNT.account)}"\n'
        f'[operators]\naccounts = ["{account_to_text(ACCOUNT.account)}"]\n'
        '[store]\ndisk_cap = "1.5GiB"\n[gate]\npolicy = "rules/gate.toml"\n'
    )
    config = load(write(tmp_path, text)).config
    assert config.cluster.seeds == (Address("10.0.0.1", 7000), Address("::1", 7001))
    assert config.cluster.replicas == {"eu": 1, "us": 2}
    assert config.cluster.founders == (
        Founder(
            id="00112233445566778899aabbccddeeff",
            name="one",
            region="eu",
            capacity=2.0,
            service_account=config.operators.accounts[0],
        ),
    )
    assert config.operators.accounts == (ACCOUNT.account,)
    assert config.store.disk_cap == 3 * 512 * 1024**2
    assert config.gate.policy == tmp_path / "rules" / "gate.toml"


def test_all_problems_are_reported_at_once_with_their_places(tmp_path: Path) -> None:
    text = (
        '[node]\nnmae = "one"\nname = "Not A Slug"\n\n[clutser]\nid = "x"\n\n[cluster]\nid = "alpha"\n'
        'seeds = ["a:1", "nowhere"]\n[store]\ndisk_cap = "ten"\n[log]\nlevel = "loud"\njson = "yes"\n'
    )
    assert problems(tmp_path, text) == (
        "folkmoot.toml:2:1: no setting node.nmae; did you mean name?",
        "folkmoot.toml:3:1: node.name: expected 1 to 63 lower-case letters, digits and inner dashes,"
        " got 'Not A Slug'",
        "folkmoot.toml:5:1: no section [clutser]; did you mean cluster?",
        'folkmoot.toml:10:17: cluster.seeds.1: expected "host:port", such as "127.0.0.1:0", got \'nowhere\'',
        'folkmoot.toml:12:1: store.disk_cap: expected a size, such as "512MiB" or "10GiB", got \'ten\'',
        "folkmoot.toml:14:1: log.level: invalid enum value 'loud'",
        "folkmoot.toml:15:1: log.json: expected `bool | null`, got `str`",
    )


def test_problems_are_told_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = MINIMAL + '[store]\ndisk_cap = "much"\n[listen]\nclients = "nowhere"\npears = 1\n[nod]\nx = 1\n'
    write(tmp_path, "[tls]\nmode = 1\n", "conf.d/tls.toml")
    found = problems(tmp_path, text, flags={"gossip.profile": "slow"})
    places = [problem.split(": ")[0] for problem in found]
    assert places == [
        "folkmoot.toml:6:1",
        "folkmoot.toml:8:1",
        "folkmoot.toml:9:1",
        "folkmoot.toml:10:1",
        "conf.d/tls.toml:2:1",
        "flag gossip.profile",
    ]


def test_an_address_is_no_place() -> None:
    address = "listen.peers: cannot listen on [::12:34]:7: busy"
    said = ConfigError([address, "b.toml:10:1: y", "b.toml:9:1: x", "b.toml:9:1: x"])
    assert said.problems == ("b.toml:9:1: x", "b.toml:10:1: y", address)


def test_each_bad_founder_is_reported(tmp_path: Path) -> None:
    text = MINIMAL + (
        '[[cluster.founders]]\nid = "short"\nname = "one"\nregion = "eu"\nservice_account = "did:web:x"\n'
        '[[cluster.founders]]\nname = "two"\nregio = "eu"\n'
    )
    found = problems(tmp_path, text)
    assert [line.partition(": ")[0] for line in found] == [
        "folkmoot.toml:6:1",
        "folkmoot.toml:9:1",
        "folkmoot.toml:10:1",
        "folkmoot.toml:10:1",
        "folkmoot.toml:10:1",
        "folkmoot.toml:12:1",
    ]
    assert "cluster.founders.1.regio: no such key" in found[5]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", "node.name is not set"),
        ("[node", "folkmoot.toml:1:1: not TOML"),
        ("node = 3", "folkmoot.toml:1:1: node is a section: write [node]"),
    ],
)
def test_files_that_are_hardly_files(tmp_path: Path, line: str, expected: str) -> None:
    assert any(each.startswith(expected) for each in problems(tmp_path, line))


def test_a_missing_file_says_what_writes_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="folkmoot init"):
        load(tmp_path / "absent.toml")


@pytest.mark.parametrize("size", ["-1", '"1 GB"', "true", "1024", '"16KiB"'])
def test_sizes_out_of_bounds_are_refused(tmp_path: Path, size: str) -> None:
    (problem,) = problems(tmp_path, MINIMAL + f"[store]\ndisk_cap = {size}\n")
    assert problem.startswith("folkmoot.toml:6:1: store.disk_cap: expected")


@pytest.mark.parametrize(
    "address", ["nothing", ":1", "h:", "h:x", "h:65536", "h:-1", "", "nodes..example:1", "a b:1", "[::1:1"]
)
def test_addresses_that_are_none_are_refused(tmp_path: Path, address: str) -> None:
    (problem,) = problems(tmp_path, MINIMAL + f'[listen]\nclients = "{address}"\n')
    assert problem.startswith("folkmoot.toml:6:1: listen.clients: expected")


@pytest.mark.parametrize("host", ["", "nodes..example", "a" * 64, "a\\u0000b", "node.example:7000", "[::1]"])
def test_a_host_that_is_none_is_refused_where_it_stands(tmp_path: Path, host: str) -> None:
    (problem,) = problems(tmp_path, MINIMAL + f'[listen]\nadvertise = "{host}"\n')
    assert problem.startswith("folkmoot.toml:6:1: listen.advertise: expected a")


def test_a_seed_that_is_no_host_is_refused_where_it_stands(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, MINIMAL + 'seeds = ["10.0.0.1:7000", "nodes..example:7000"]\n')
    assert problem.startswith("folkmoot.toml:5:27: cluster.seeds.1: expected a host name or an IP address")


class TestPrecedence:
    """Flag over environment over conf.d over the file over the default; each value says which."""

    def load(self, tmp_path: Path) -> LoadedConfig:
        file = write(tmp_path, MINIMAL + '[gossip]\nprofile = "wan"\n[log]\nlevel = "error"\n')
        write(tmp_path, '[log]\nlevel = "warning"\n', "conf.d/10-log.toml")
        write(tmp_path, '[log]\nlevel = "debug"\njson = true\n', "conf.d/20-log.toml")
        secret = write(tmp_path, "us\n", "region.txt")
        variables = {
            "FOLKMOOT__NODE__REGION_FILE": str(secret),
            "FOLKMOOT__CLUSTER__SEEDS": "a:1, b:2",
            "FOLKMOOT__LOG__JSON": "false",
            "FOLKMOOT__STORE__DISK_CAP": "64MiB",
            "FOLKMOOT__CLUSTER__REPLICAS": "{eu = 2}",
            "UNRELATED": "x",
        }
        return load(file, environment=variables, flags={"store.disk_cap": "32MiB", "node.name": "flagged"})

    def test_values(self, tmp_path: Path) -> None:
        config = self.load(tmp_path).config
        assert (config.node.name, config.node.region, config.gossip.profile) == ("flagged", "us", "wan")
        assert (config.log.level, config.log.json) == ("debug", False)
        assert config.cluster.seeds == (Address("a", 1), Address("b", 2))
        assert config.cluster.replicas == {"eu": 2}
        assert config.store.disk_cap == 32 << 20

    def test_sources(self, tmp_path: Path) -> None:
        sources = self.load(tmp_path).sources
        assert sources["node.name"] == "flag node.name"
        assert sources["node.region"] == "environment FOLKMOOT__NODE__REGION_FILE"
        assert sources["log.level"] == f"{tmp_path}/conf.d/20-log.toml:2:1"
        assert sources["gossip.profile"] == f"{tmp_path}/folkmoot.toml:6:1"
        assert sources["tls.mode"] == "default"
        assert set(sources) == {setting.name for setting in settings()}


def test_unknown_names_in_environment_and_flags_are_errors(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        MINIMAL,
        environment={"FOLKMOOT__NODE__NMAE": "x", "FOLKMOOT__LOGS__LEVEL": "x"},
        flags={"node.nmae": "x"},
    )
    assert found == (
        "environment FOLKMOOT__LOGS__LEVEL: no section [logs]; did you mean log?",
        "environment FOLKMOOT__NODE__NMAE: no setting node.nmae; did you mean name?",
        "flag node.nmae: no setting node.nmae; did you mean name?",
    )


class TestBeyondLoopback:
    def test_without_certificates_it_is_refused_and_says_what_to_run(self, tmp_path: Path) -> None:
        text = MINIMAL + '[listen]\npeers = "10.0.0.1:7000"\n[tls]\nmode = "off"\n'
        (problem,) = problems(tmp_path, text)
        assert problem.startswith("folkmoot.toml:6:1: listen.peers: 10.0.0.1:7000 is beyond loopback")
        assert "folkmoot cert create-ca" in problem

    def test_a_wildcard_needs_an_advertised_host(self, tmp_path: Path) -> None:
        text = MINIMAL + '[listen]\npeers = "0.0.0.0:7000"\n'
        (problem,) = problems(tmp_path, text)
        assert "set listen.advertise" in problem
        assert load(write(tmp_path, text + 'advertise = "node.example"\n')).config.listen.peers.port == 7000
        (problem,) = problems(tmp_path, text + 'advertise = "0.0.0.0"\n')
        assert problem.startswith("folkmoot.toml:7:1: listen.advertise: nobody can dial a wildcard")

    def test_loopback_without_certificates_is_fine(self, tmp_path: Path) -> None:
        text = MINIMAL + '[listen]\nclients = "[::1]:0"\n[tls]\nmode = "off"\n'
        assert load(write(tmp_path, text)).config.tls.mode == "off"


def test_every_setting_is_a_sentence_with_a_reason() -> None:
    nested = (("cluster.founders", Founder), ("screening.lists", ScreenedList))
    rows = [*settings(), *(row for each in nested for row in fields_of(*each).values())]
    for row in rows:
        assert row.sentence.endswith("."), row.name
        assert row.why.endswith("."), row.name
        assert row.applies in ("reload", "restart")
    assert len({row.name for row in rows}) == len(rows)


def test_configs_are_immutable(tmp_path: Path) -> None:
    config: NodeConfig = load(write(tmp_path, MINIMAL)).config
    with pytest.raises(AttributeError):
        config.node = config.node  # type: ignore[misc]
