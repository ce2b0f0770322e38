"""Downloads: names, types, and no more in memory than the client takes."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from emailengine.api.seams import Download
from emailengine.api.streams import STALL, content_type, disposition
from emailengine.errors import ConnectionLost, MessageNotFound
from tests.api.client import TOKEN, ApiCase, Connection, head
from tests.api.parts import Chunks


class NameTests(SynchronousTestCase):
    def test_names(self) -> None:
        """A name is told for old clients in ASCII and for new ones as it is."""
        self.assertEqual(disposition(None), b"attachment")
        self.assertEqual(disposition("a b.png"), b"attachment; filename=\"a b.png\"; filename*=utf-8''a%20b.png")
        self.assertEqual(disposition("rés.pdf"), b"attachment; filename=\"r_s.pdf\"; filename*=utf-8''r%C3%A9s.pdf")
        self.assertEqual(
            disposition('..\\a/"b"\r\nSet-Cookie: x'),
            b"attachment; filename=\".._a__b___Set-Cookie_ x\"; filename*=utf-8''.._a__b___Set-Cookie_%20x",
        )

    @given(st.text())
    def test_any_name(self, name: str) -> None:
        """No name can end the header, leave its quotes or name a folder."""
        told = disposition(name)
        self.assertTrue(told.isascii() and told.decode().isprintable())
        if name:
            simple = told.split(b'"')
            self.assertEqual(len(simple), 3)
            whole = unquote(told.rpartition(b"''")[2].decode(), errors="strict")
            self.assertFalse(set(whole) & set('/\\"\r\n'))

    def test_types(self) -> None:
        """A type that is none becomes the one for unknown bytes."""
        self.assertEqual(content_type("image/svg+xml"), b"image/svg+xml")
        for bad in ("", "x", "a/b; c", "a/b\r\nc: d", "ä/b", "a/b/c"):
            self.assertEqual(content_type(bad), b"application/octet-stream")


class StreamTests(ApiCase):
    def start(self, chunks: Chunks, size: int | None = None) -> Connection:
        self.mailing.say["open_attachment"] = Download("text/html", chunks, "a.html", size)
        connection = self.connect()
        connection.send(head("GET", "/v1/account/a/attachment/abc", [("authorization", f"Bearer {TOKEN}")]))
        return connection

    def pause(self, connection: Connection) -> Any:
        assert connection.transport.producer is not None
        connection.transport.producer.pauseProducing()
        return connection.transport.producer

    def test_whole(self) -> None:
        """A download arrives whole, with or without a known size, to be saved and not shown."""
        for size in (None, 6):
            answer = self.start(chunks := Chunks([b"abc", b"", b"def"]), size).answer()
            self.assertEqual((answer.body, chunks.closed), (b"abcdef", 1))
            self.assertEqual(answer.header("content-type"), "text/html")
            self.assertTrue((answer.header("content-disposition") or "").startswith("attachment;"))
            self.assertEqual(answer.header("x-content-type-options"), "nosniff")
        self.assertEqual(self.start(Chunks([])).answer().body, b"")

    def test_stalled(self) -> None:
        """A client that does not read holds one chunk: the next is asked for when it has taken that."""
        second: Deferred[bytes] = Deferred()
        chunks = Chunks([b"a" * 1000, second, *[b"b" * 1000] * 100])
        connection = self.start(chunks)
        producer = self.pause(connection)
        second.callback(b"a" * 1000)
        self.assertEqual(chunks.taken, 2)
        self.clock.advance(STALL / 2)
        self.assertEqual((chunks.taken, chunks.closed), (2, 0))
        producer.resumeProducing()
        self.assertEqual((chunks.taken, len(connection.answer().body)), (102, 102_000))
        self.assertEqual(self.clock.getDelayedCalls(), [self.channel_timeout()])

    def channel_timeout(self) -> Any:
        (only,) = [call for call in self.clock.getDelayedCalls() if call.getTime() > self.clock.seconds() + 30]
        return only

    def test_stalled_for_ever(self) -> None:
        """A client that takes nothing for long is cut, and what it held is given back."""
        second: Deferred[bytes] = Deferred()
        connection = self.start(chunks := Chunks([b"a", second, b"c"]))
        self.pause(connection)
        second.callback(b"b")
        self.clock.advance(STALL)
        self.assertTrue(connection.closing)
        connection.lose()
        self.assertEqual((chunks.taken, chunks.closed, len(self.site.present)), (2, 1, 0))

    def test_gone(self) -> None:
        """When the client goes, the download is closed, whether it waits for the client or for the server."""
        server: Deferred[bytes] = Deferred()
        connection = self.start(waiting := Chunks([b"a", server]))
        connection.lose()
        self.assertEqual(waiting.closed, 1)
        later: Deferred[bytes] = Deferred()
        connection = self.start(stalled := Chunks([b"a", later, b"c"]))
        self.pause(connection)
        later.callback(b"b")
        connection.lose()
        self.assertEqual((stalled.taken, stalled.closed), (2, 1))
        self.assertEqual(len(self.site.present), 0)

    def test_fails_at_once(self) -> None:
        """An error before the first octet is an answer."""
        connection = self.start(chunks := Chunks([MessageNotFound("gone")]))
        self.assertEqual(self.refused(connection.answer(), 404)["code"], "MessageNotFound")
        self.assertEqual(chunks.closed, 1)
        self.assertNotIn("content-disposition", connection.answer().headers)

    def test_fails_later(self) -> None:
        """An error after that cuts the connection: the client must not take a part for the whole."""
        cases: list[tuple[int | None, list[bytes | Exception]]] = [
            (None, [b"abc", ConnectionLost("lost")]),
            (6, [b"abc"]),
            (2, [b"abc"]),
            (None, [b"abc", ValueError("bug")]),
        ]
        for size, parts in cases:
            connection = self.start(chunks := Chunks(parts), size)
            self.assertTrue(connection.closing)
            self.assertFalse(connection.sent.endswith(b"0\r\n\r\n"))
            connection.lose()
            self.assertEqual((chunks.closed, len(self.site.present)), (1, 0))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
