"""Texts out of what was fetched."""

from __future__ import annotations

import quopri

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from emailengine.accounts.shaping import Leaves, Texts
from emailengine.accounts.verbs.reading import TextWish, join_texts
from emailengine.wire.imap.body import Part


class Ticking(Clock):
    """Each look at it takes longer than a turn may."""

    def seconds(self) -> float:
        self.rightNow += 0.01
        return super().seconds()


class JoinTests(SynchronousTestCase):
    def test_long(self) -> None:
        """A text of megabytes is decoded in turns, joined to the next one, and cut where no more is wanted."""
        text = "Grüße aus Köln\n" * 100_000
        data = quopri.encodestring(text.encode()).replace(b"\n", b"\r\n")
        parts = [
            Part("1", encoding="quoted-printable", params={"charset": "utf-8"}, size=len(data)),
            Part("2", size=3),
        ]
        clock = Ticking()
        found: list[Texts] = []
        work = Deferred.fromCoroutine(
            join_texts({"BODY[1]": data, "BODY[2]": b"end"}, Leaves(plain=parts), TextWish(limit=1_500_003), clock)
        )
        work.addCallback(found.append)
        self.assertEqual(found, [])
        clock.pump([0.01] * 40)
        self.assertEqual(found, [Texts(text + "\nen", None, True)])
