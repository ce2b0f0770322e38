"""The protocol log of an account as a download."""

from __future__ import annotations

from tests.api.client import ApiCase


class LogTests(ApiCase):
    def test_download(self) -> None:
        """The lines come as they are, as a file that is named after the account."""
        self.logs.chunks["a/b"] = [b'{"msg":"x"}\n', b'{"msg":"y"}\n{"msg":"z"}\n']
        answer = self.ask("GET", "/v1/logs/a%2Fb")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.body, b'{"msg":"x"}\n{"msg":"y"}\n{"msg":"z"}\n')
        self.assertTrue((answer.header("content-type") or "").startswith("text/plain"))
        self.assertIn('attachment; filename="logs.a_b.txt"', answer.header("content-disposition") or "")

    def test_none(self) -> None:
        """Where there is no log, or no such account, a text says so."""
        answer = self.ask("GET", "/v1/logs/nobody")
        self.assertEqual((answer.status, answer.body), (200, b"No logs found for nobody"))
        self.assertTrue((answer.header("content-type") or "").startswith("text/plain"))

    def test_tokens(self) -> None:
        """It takes a token that may read logs, of this account or of all."""
        self.assertEqual(self.ask("GET", "/v1/logs/a", token=None).status, 401)
        self.allow(account="b")
        self.assertEqual(self.ask("GET", "/v1/logs/a").status, 403)
        self.assertEqual(self.ask("GET", "/v1/logs/b").status, 200)
