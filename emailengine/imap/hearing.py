"""What a session hears and no command takes: the news, and what they change in the selected folder."""

from __future__ import annotations

from collections.abc import Callable

from emailengine.imap.target import Selected
from emailengine.wire.imap.responses import Exists, Expunge, Response, Vanished
from emailengine.wire.imap.uidset import UidSet


class Ears:
    """Hears the news, keeps the selected folder's count right, and passes them on."""

    __slots__ = ("_news", "saved", "selected")

    def __init__(self, news: Callable[[Response], None]) -> None:
        self._news = news
        self.selected: Selected | None = None
        self.saved: UidSet | None = None
        """What the server keeps as the result of a search (RFC 5182)."""

    def hear(self, response: Response) -> None:
        selected = self.selected
        if selected is not None:
            if isinstance(response, Exists):
                selected.exists = response.n
            elif isinstance(response, Expunge):
                selected.exists = max(0, selected.exists - 1)
            elif isinstance(response, Vanished) and not response.earlier:
                selected.exists = max(0, selected.exists - len(response.uids))
        self._news(response)

    def nothing_selected(self) -> None:
        self.selected = self.saved = None
