"""What must hold around a configuration before a node can start with it.

`config check` and `start` run the same checks, so that what the one passes the other does not refuse; only
what is in the store is found out by opening it.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from folkmoot.node.configuration.reading import ConfigError, LoadedConfig, with_id
from folkmoot.node.configuration.settings import NodeConfig
from folkmoot.node.data_directory import DataDirectory, read_gossip_ring
from folkmoot.node.founding import founding_problems
from folkmoot.node.media.signals import unseen_by
from folkmoot.node.moderation.media.confinement import unavailable
from folkmoot.node.moderation.media.outcome import decoders, missing_extras, read_judge
from folkmoot.node.moderation.policy_file import load_engine
from folkmoot.node.system import SystemWallClock
from folkmoot.node.transport.interface import Address
from folkmoot.node.transport.tls import NodeTls, TlsFiles
from folkmoot.protocol.errors import FolkmootError
from folkmoot.protocol.moderation.policy import PolicyError
from folkmoot.protocol.node_name import NodeName


def gossip_ring_file(config: NodeConfig) -> Path:
    """Where this configuration keeps its gossip key ring."""
    return config.gossip.keys_file or DataDirectory(config.node.data).gossip_ring_file


def check_surroundings(loaded: LoadedConfig) -> list[str]:
    """Look at everything the configuration points to, and at the cluster it would found.

    Returns:
        What does not keep a node from starting and will not be as somebody wanted it, a sentence each.

    Raises:
        ConfigError: with all that is missing, unreadable, taken or impossible.
    """
    warnings: list[str] = []
    problems = list(_problems(loaded, warnings))
    if problems:
        raise ConfigError(problems)
    return warnings


def _founding(loaded: LoadedConfig) -> Iterator[str]:
    data = DataDirectory(loaded.config.node.data)
    try:
        config = with_id(loaded.config, loaded.config.node.id or data.node_id())
        account = data.service_key().account
    except FolkmootError:
        return  # said already
    yield from founding_problems(LoadedConfig(config, loaded.sources), account)


def _problems(loaded: LoadedConfig, warnings: list[str]) -> Iterator[str]:
    config = loaded.config
    data = DataDirectory(config.node.data)
    if config.node.id is None:
        yield from _complaint(data.node_id)
    yield from _complaint(data.service_key)
    yield from _complaint(lambda: read_gossip_ring(gossip_ring_file(config)))
    if config.tls.mode == "mutual":
        yield from _certificates(config)
    if config.gate.policy is not None:
        policy = config.gate.policy
        yield from _complaint(lambda: warnings.extend(policy_warnings(policy, config)))
    if config.screening.enabled:
        yield from missing_extras(config.screening)
        if (why := unavailable()) is not None:
            warnings.append(f"screening.enabled: what decodes pictures has limits but is not confined: {why}")
        if "films" not in decoders() and any(each.startswith("video/") for each in config.media.types):
            warnings.append(
                "screening.enabled: films are not looked at without the extra [video], and are "
                "unknown: pip install 'folkmoot[video]', or take them out of media.types"
            )
        yield from _complaint(lambda: read_judge(config.screening))
    yield from _founding(loaded)
    if config.node.data.is_dir() and not os.access(config.node.data, os.W_OK | os.X_OK):
        yield f"node.data: {config.node.data} cannot be written by this user"
    yield from _taken(loaded, "clients", config.listen.clients, socket.SOCK_STREAM)
    yield from _taken(loaded, "peers", config.listen.peers, socket.SOCK_STREAM)
    if config.listen.datagrams is not None:
        yield from _taken(loaded, "datagrams", config.listen.datagrams, socket.SOCK_DGRAM)


def policy_warnings(policy: Path, config: NodeConfig) -> list[str]:
    """What of a policy would not be in force, a sentence each.

    Args:
        policy: its file.
        config: of the node that would judge by it.

    Raises:
        PolicyError: it cannot be used at all.
    """
    engine = load_engine(policy, config.node.data / "models", config.node.region)
    told = engine.warnings(SystemWallClock().now_us(), dict(unseen_by(config.screening)))
    return [f"{policy}: {each}" for each in told]


def _certificates(config: NodeConfig) -> Iterator[str]:
    """What is wrong with the files, and if nothing is, with what they say."""
    tls = config.tls
    files = {"ca": tls.ca, "certificate": tls.certificate, "key": tls.key}
    unreadable = [
        complaint
        for key, file in files.items()
        for complaint in _readable(f"tls.{key}", file, "run `folkmoot cert --help`")
    ]
    yield from unreadable
    if not unreadable:
        try:
            node_id = config.node.id or DataDirectory(config.node.data).node_id()
        except FolkmootError:
            return  # said already
        name = NodeName(config.cluster.id, bytes.fromhex(node_id))
        yield from _complaint(lambda: NodeTls(TlsFiles(**files), name))


def _complaint(read: Callable[[], object]) -> Iterator[str]:
    try:
        read()
    except PolicyError as error:
        yield from error.problems
    except FolkmootError as error:
        yield str(error)


def _readable(name: str, file: Path, remedy: str) -> Iterator[str]:
    try:
        file.open("rb").close()
    except OSError as error:
        yield f"{name}: {file}: {error.strerror}; {remedy}"


def _taken(loaded: LoadedConfig, key: str, address: Address, kind: socket.SocketKind) -> Iterator[str]:
    name = f"listen.{key}"
    try:
        bind_trial(address, kind)
    except OSError as error:
        source = loaded.sources[name]
        where = "" if source == "default" else f"{source}: "
        remedy = ""
        if error.errno == errno.EADDRINUSE:
            sockets = "-ltnp" if kind is socket.SOCK_STREAM else "-lunp"
            remedy = f"; `ss {sockets} 'sport = :{address.port}'` shows who does, or name another port here"
        yield f"{where}{name}: cannot listen on {address}: {error.strerror}{remedy}"


def bind_trial(address: Address, kind: socket.SocketKind) -> None:
    """Bind `address` and let go of it again.

    Raises:
        OSError: it cannot be bound.
    """
    family, _, protocol, _, resolved = socket.getaddrinfo(address.host, address.port, type=kind)[0]
    with socket.socket(family, kind, protocol) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        trial.bind(resolved)
