"""What becomes of a delivery, as a table."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from emailengine.errors import ConnectFailed, EmailEngineError, TimedOut, TlsFailed
from emailengine.outward.http import Response
from emailengine.webhooks.verdict import ATTEMPTS, Again, Done, GiveUp, judge


def answered(status: int) -> Response:
    return Response(status, {}, b"")


class VerdictTests(SynchronousTestCase):
    def test_answers(self) -> None:
        """2xx is a success, 3xx final, all else may be better later."""
        for status, expected in (
            (200, Done),
            (204, Done),
            (299, Done),
            (300, GiveUp),
            (301, GiveUp),
            (304, GiveUp),
            (308, GiveUp),
            (400, Again),
            (404, Again),
            (410, Again),
            (429, Again),
            (500, Again),
            (503, Again),
        ):
            self.assertIsInstance(judge(answered(status), 0, lambda: 0.0), expected, status)

    def test_errors(self) -> None:
        """A forbidden address is final; whatever else went wrong is tried again."""
        blocked = judge(ConnectFailed("no", code="EEGRESSBLOCKED"), 0, lambda: 0.0)
        assert isinstance(blocked, GiveUp)
        self.assertEqual(blocked.reason.code, "EEGRESSBLOCKED")
        errors: list[EmailEngineError] = [
            TimedOut("x", code="ETIMEDOUT"),
            TlsFailed("x"),
            ConnectFailed("x", code="ENOTFOUND"),
        ]
        for error in errors:
            self.assertIsInstance(judge(error, 0, lambda: 0.0), Again)

    def test_schedule(self) -> None:
        """Ten attempts, 5 s apart and doubling, each wait cut by up to a fifth."""
        for random, part in ((0.0, 1.0), (0.999999, 0.8)):
            delays = []
            for attempts in range(ATTEMPTS):
                verdict = judge(answered(500), attempts, lambda random=random: random)  # type: ignore[misc]
                if isinstance(verdict, Again):
                    delays.append(round(verdict.delay / part))
            self.assertEqual(delays, [5, 10, 20, 40, 80, 160, 320, 640, 1280])
        last = judge(answered(500), 9, lambda: 0.0)
        assert isinstance(last, GiveUp)
        self.assertEqual((last.reason.code, last.reason.status), (None, 500))

    def test_redirect_has_its_word(self) -> None:
        """The reason of a redirect has the known code, and its status."""
        verdict = judge(answered(302), 0, lambda: 0.0)
        assert isinstance(verdict, GiveUp)
        self.assertEqual((verdict.reason.code, verdict.reason.status), ("EREDIRECTNOTFOLLOWED", 302))
