"""Ids of messages, texts and attachments, there and back."""

from __future__ import annotations

from base64 import urlsafe_b64encode

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import MessageNotFound
from emailengine.model.ids import (
    ATTACHMENT_LIMIT,
    MESSAGE_LIMIT,
    TEXT_LIMIT,
    pack_attachment,
    pack_message,
    pack_text,
    unpack_attachment,
    unpack_message,
    unpack_text,
)

NUMBER = st.integers(0, 2**32 - 1)
PART = st.lists(st.integers(1, 10**9 - 1), min_size=1, max_size=4).map(lambda steps: ".".join(map(str, steps)))
PARTS = st.lists(PART, max_size=4)


def packed(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


class RoundTripTests(SynchronousTestCase):
    @given(NUMBER, NUMBER)
    def test_message(self, folder: int, uid: int) -> None:
        """A message id is 11 characters and gives folder and UID again."""
        text = pack_message(folder, uid)
        self.assertEqual((len(text), unpack_message(text)), (11, (folder, uid)))

    @given(NUMBER, NUMBER, PART)
    def test_attachment(self, folder: int, uid: int, part: str) -> None:
        """An attachment id gives folder, UID and part number again, and is no message id."""
        text = pack_attachment(folder, uid, part)
        self.assertEqual(unpack_attachment(text), (folder, uid, part))
        self.assertRaises(MessageNotFound, unpack_message, text)

    @given(NUMBER, NUMBER, PARTS, PARTS, PARTS)
    def test_text(self, folder: int, uid: int, plain: list[str], html: list[str], other: list[str]) -> None:
        """A text id gives folder, UID and the part numbers by type again, and is no attachment id."""
        text = pack_text(folder, uid, plain, html, other)
        self.assertEqual(unpack_text(text), (folder, uid, plain, html, other))
        self.assertRaises(MessageNotFound, unpack_attachment, text)


class ForeignTests(SynchronousTestCase):
    def refused_or_read(self, text: str) -> None:
        for unpack in (unpack_message, unpack_attachment, unpack_text):
            try:
                unpack(text)
            except MessageNotFound:
                continue

    @given(st.text(max_size=40))
    def test_any_text(self, text: str) -> None:
        """Any text is an id or MessageNotFound, never another error."""
        self.refused_or_read(text)

    @given(st.binary(max_size=60))
    def test_any_bytes(self, data: bytes) -> None:
        """So is any base64."""
        self.refused_or_read(packed(data))

    @given(st.binary(max_size=30))
    @example(b"\x00\x00\x80")
    def test_damaged_parts(self, tail: bytes) -> None:
        """So is a text id whose part list is damaged."""
        self.refused_or_read(packed(bytes(8) + tail))
        self.refused_or_read(packed(bytes(8) + b"\x93\x91\xa3" + tail))

    def test_refused(self) -> None:
        """Part numbers that could leave their FETCH command, and lists of the wrong shape, are refused."""
        for part in ("", "1.", ".1", "1..2", "1 2", "TEXT", "1]", "1\r\n", "1\n", "٣", "1" * 10):
            self.assertRaises(MessageNotFound, unpack_attachment, packed(bytes(8) + part.encode()))
            if part:
                self.assertRaises(MessageNotFound, unpack_text, pack_text(1, 1, [part], [], []))
        for data in (
            b"\x90",
            b"\x92\x90\x90",
            b"\x94\x90\x90\x90\x90",
            b"\x93\x90\x90\x90\x00",
            b"\x93\x90\x90\x91\x01",
        ):
            self.assertRaises(MessageNotFound, unpack_text, packed(bytes(8) + data))

    def test_limits(self) -> None:
        """Longer ids than the API documents are not decoded."""
        self.assertRaises(MessageNotFound, unpack_message, "A" * (MESSAGE_LIMIT + 1))
        part = "1." * (ATTACHMENT_LIMIT // 2) + "1"
        self.assertRaises(MessageNotFound, unpack_attachment, pack_attachment(1, 1, part))
        self.assertRaises(MessageNotFound, unpack_text, pack_text(1, 1, ["1"] * TEXT_LIMIT, [], []))
