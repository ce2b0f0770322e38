"""What a command is: its text, the responses that are its own, its value. It knows no transport."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Generic, TypeVar

from emailengine.errors import ConnectionLost, EmailEngineError, ServerRefused
from emailengine.wire.imap import refusals
from emailengine.wire.imap.responses import Response, Status, Tagged
from emailengine.wire.imap.tokens import Piece

T = TypeVar("T")


class Command(Generic[T]):
    """
    One command, for one use. The connection calls the methods in the order in which they stand here.

    A command that may be sent while others of its kind still run, because no response could be either's, says so with
    `together`.
    """

    __slots__ = ()

    word: ClassVar[str]
    """Names it in errors. It starts the line of a secret command."""
    together: ClassVar[bool] = False
    secret: ClassVar[bool] = False
    """Whether what follows the word, and every answer to a `+`, stays out of the protocol log."""
    alone_on_its_line: ClassVar[bool] = False
    """Whether the octets that follow the end of the command are of another kind: TLS, or compressed."""

    def line(self) -> Sequence[Piece]:
        """The text to send. Raises WeMisusedProtocol for a value that cannot be said."""
        raise NotImplementedError

    def sent(self) -> None:
        """It is on its way."""

    def answer(self, challenge: bytes) -> bytes | None:
        """What to send for a `+` that asks for no literal; None for nothing."""
        return None

    def sink(self, pieces: Sequence[Piece], size: int) -> Callable[[bytes], None] | None:
        """
        Where a literal of `size` octets shall go as it arrives; None to keep it for the response.

        Asked for each literal that begins before the command's end is read, with the response as far as it has come:
        it may be one that nobody asked for. Neither this nor what it returns may raise. Once the command is cancelled
        nothing goes there any more.
        """
        return None

    def take(self, response: Response) -> bool:
        """Whether an untagged response is this command's; if so it is kept."""
        return False

    def result(self, final: Tagged) -> T:
        """The value, after OK. May raise one of our errors."""
        raise NotImplementedError

    def refused(self, final: Tagged) -> EmailEngineError:
        """The error, after NO or BAD."""
        return refusal(final, self.word)


class Plain(Command[None]):
    """A command that asks for nothing but to be done."""

    __slots__ = ()

    def result(self, final: Tagged) -> None:
        return None


def refusal(final: Tagged, word: str) -> ServerRefused:
    """NO or BAD as an error."""
    meant = refusals.read(final.status, final.code, final.text)
    return ServerRefused(
        final.status,
        final.code.name if final.code is not None else None,
        final.text,
        command=word,
        meaning=meant.meaning,
        retry_after=meant.retry_after,
        alert=meant.alert,
    )


def farewell(said: Status, told: str) -> ConnectionLost:
    """BYE as an error; `told` says what happened, before the server's words."""
    meant = refusals.read("BYE", said.code, said.text, login=True)
    return ConnectionLost(
        f"{told}: {said.text}",
        code=said.code.name if said.code is not None else None,
        meaning=meant.meaning,
        retry_after=meant.retry_after,
        alert=meant.alert,
    )
