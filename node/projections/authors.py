"""Authors' pages, as those who look see them.

A page is read as it was asked for, at its level and with its token (see `actors.feed_reader`), and what is
not to be seen is left out afterwards. Most pages need nothing of that: posts that are only a text, shown to
nobody in particular, are handed on as they are.
"""

from __future__ import annotations

from folkmoot.node.contracts import FeedReading
from folkmoot.node.projections.building import Builder
from folkmoot.node.projections.viewers import Viewers
from folkmoot.protocol.feed.pages import PackedPage
from folkmoot.protocol.ring.levels import Level
from folkmoot.protocol.token import Token


class AuthorPages:
    """See the module.

    Args:
        feeds: reads pages.
        viewers: what those who look block and mute.
        builder: leaves out what they are not to see.
    """

    def __init__(self, feeds: FeedReading, viewers: Viewers, builder: Builder) -> None:
        self._feeds = feeds
        self._viewers = viewers
        self._builder = builder

    def page_now(
        self, account: bytes, before: bytes | None, limit: int, level: Level, token: Token
    ) -> PackedPage | None:
        """`page` for nobody in particular, when it can be had without waiting; else None."""
        page = self._feeds.local_page(account, before, limit, level, token)
        return None if page is None or page.telling else page

    async def page(
        self,
        account: bytes,
        before: bytes | None,
        limit: int,
        level: Level,
        token: Token,
        viewer: bytes | None,
    ) -> PackedPage:
        """A page of an account's posts, without those that the viewer is not to see.

        Args:
            account, before, limit, level, token: as in `FeedReader.author_page`.
            viewer: who looks (34 bytes); None for nobody in particular.

        Raises:
            WireError: `level_unreachable`, `not_yet`.
        """
        page = await self._feeds.author_page(account, before, limit, level, token)
        if not page.count or (not page.telling and viewer in (None, account)):
            return page
        return await self._builder.of_author(account, page, await self._viewers.of(viewer))
