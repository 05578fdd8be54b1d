"""What a host may be called: a name of DNS, or a literal IP address.

Hosts reach a node from its operator and, by gossip, from other nodes. Both are judged here, before anything
tries to resolve them: resolvers raise all sorts of errors about what is no name at all.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address
from typing import Final

HOST_CHARACTERS: Final = 253
HOST_FORM: Final = "a host name or an IP address"

_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_V6: Final = re.compile(r"[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.-]{1,15})?")


def is_host(text: str) -> bool:
    """Whether `text` can be dialled, as far as its form goes.

    Underscores are allowed, since names given by container engines have them; names beyond ASCII are written
    in their `xn--` form; an IPv6 address may name its zone.

    Source: RFC 1123, section 2.1 (names); RFC 4291, section 2.2, and RFC 4007, section 11 (IPv6 and zones).
    """
    if ":" not in text:
        return len(text) <= HOST_CHARACTERS and _NAME.fullmatch(text) is not None
    if _V6.fullmatch(text) is None:
        return False
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True
