"""How long a link waits for the other side to say something.

A message that has begun must end `message_s` later, the first one `first_message_s` after the link began, and
between messages there may be silence for `idle_s`. Every read moves the deadline on, and moving one costs as
much as reading a short message. So the deadline of silence is set a step too late and left where it is until
it would be too early: it moves once a step however much is read, and never fires before its time.
"""

from __future__ import annotations

import trio
from folkmoot.protocol import limits
from folkmoot.protocol.client.link_terms import LinkSettings


class Patience:
    """The deadline of the next bytes; begins when it is made.

    Args:
        settings: the link's.
    """

    def __init__(self, settings: LinkSettings) -> None:
        self._message_s = settings.message_s
        self._idle_s = settings.idle_s
        self._due = trio.current_time() + settings.first_message_s
        self._heard = False  # a whole message has come
        self._within = False  # a message has begun and not ended
        self.scope = trio.CancelScope(deadline=self._due)

    def read(self, *, whole: bool, within: bool) -> None:
        """Bytes came.

        Args:
            whole: they ended a message.
            within: they ended within one.
        """
        begun = within and (whole or not self._within)
        self._within = within
        self._heard = self._heard or whole
        if not self._heard:
            return
        if begun:
            self._due = self.scope.deadline = trio.current_time() + self._message_s
        elif not within:
            soonest = trio.current_time() + self._idle_s
            if not soonest <= self._due <= soonest + limits.IDLE_STEP_S:
                self._due = self.scope.deadline = soonest + limits.IDLE_STEP_S
