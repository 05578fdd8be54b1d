"""What bounds that which a store remembers."""

from __future__ import annotations

from typing import Final

from folkmoot.protocol.limits import MIB

SHOWN_BYTES: Final = 16 * MIB  # of posts, pages, home feeds and profiles each, unless a node says otherwise
FIRST_PAGES_PER_AUTHOR: Final = 4  # of as many sizes
