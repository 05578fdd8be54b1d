"""What bounds that which a store remembers."""

from __future__ import annotations

from typing import Final

from folkmoot.protocol.limits import MIB

SHOWN_BYTES: Final = 16 * MIB  # of posts, of pages and of profiles each, unless a node says otherwise
FIRST_PAGES_PER_AUTHOR: Final = 4  # of as many sizes
