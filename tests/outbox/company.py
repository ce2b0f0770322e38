"""The outbox's neighbours, as far as its tests need them: an account with answers, a server with verdicts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred

from emailengine.accounts.folders import Folders
from emailengine.accounts.verbs.entering import Verb
from emailengine.core.deadline import Deadline
from emailengine.errors import AccountNotFound, MessageNotFound
from emailengine.model.account import AccountSettings, Auth, ImapSettings, SmtpSettings
from emailengine.smtp.session import SmtpResult


def settings(host: str = "smtp.x.example", port: int = 587, **more: Any) -> AccountSettings:
    return AccountSettings(
        account="ann",
        name="Ann",
        email="ann@corp.example",
        imap=ImapSettings(host="imap.x.example", port=993, auth=Auth(user="u", pass_="p")),
        smtp=SmtpSettings(host=host, port=port),
        **more,
    )


class Nobody:
    async def number(self, path: str, uidvalidity: int) -> int:
        return 1

    async def resolve(self, number: int) -> tuple[str, int] | None:
        return None


@define
class Ann:
    """An account; `answers` gives what a verb answers, or raises."""

    settings: AccountSettings = field(factory=settings)
    generation: int = 1
    folders: Folders = field(factory=lambda: Folders(numbering=Nobody()))
    answer: Callable[[Verb], Any] = lambda verb: None
    asked: list[Verb] = field(factory=list)

    async def ask(self, verb: Verb, deadline: Deadline, *, long: bool = False) -> Any:
        self.asked.append(verb)
        return self.answer(verb)


@define
class Roster:
    ann: Ann | None = field(factory=Ann)

    def get(self, account: str) -> Ann:
        if self.ann is None or account != "ann":
            raise AccountNotFound("No account has that id")
        return self.ann


@define
class Opened:
    content_type: str
    filename: str | None
    pieces: list[bytes]
    closed: bool = False

    @property
    def chunks(self) -> AsyncGenerator[bytes, None]:
        return self._chunks()

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        try:
            for piece in self.pieces:
                yield piece
        finally:
            self.closed = True


@define
class Stored:
    """Attachments by id."""

    known: dict[str, Opened] = field(factory=dict)

    async def open_attachment(self, account: str, attachment: str, *, deadline: Deadline) -> Opened:
        if attachment not in self.known:
            raise MessageNotFound("No attachment has that id")
        return self.known[attachment]


@define
class Values:
    """Settings."""

    values: dict[str, Any] = field(factory=dict)

    def value(self, name: str, default: Any = None) -> Any:
        return self.values.get(name, default)


@define
class Statuses:
    noted: list[tuple[str, dict[str, Any]]] = field(factory=list)

    async def set_smtp_status(self, account: str, status: dict[str, Any]) -> None:
        self.noted.append((account, status))


OK = SmtpResult(reply_code=250, response="250 2.0.0 kept", accepted=("bo@x.example",))


@define
class Server:
    """A mail server: `verdict` is what it answers to a message, or raises; `waiting` holds its answer back."""

    verdict: SmtpResult | Exception = OK
    waiting: Deferred[None] | None = None
    before_dot: Callable[[], Any] = lambda: None
    sent: list[dict[str, Any]] = field(factory=list)
    dots: int = 0

    async def send_message(self, **message: Any) -> SmtpResult:
        self.sent.append(message)
        if isinstance(self.verdict, Exception) and not hasattr(self.verdict, "after_dot"):
            raise self.verdict
        self.before_dot()
        await message["on_final_dot"]()
        self.dots += 1
        if self.waiting is not None:
            await self.waiting
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict
