"""What a browser sees: a page that says what this is, and the API's document."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from attrs import define, field

from emailengine.api.routing import JSON, Call, Ignored, Nothing, Page, Route
from emailengine.model.codec import encode

_AREA = "Pages"

_HOME = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>emailengine</title>
<style>body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem }}</style>
</head>
<body>
<h1>emailengine</h1>
<p>Mailboxes as a REST API: this daemon keeps IMAP and SMTP accounts connected, answers requests for their mail, and
tells your web server what happens in them. Version {version}.</p>
<ul>
<li><a href="/swagger.json">The API's document</a> (OpenAPI)</li>
<li><a href="/v1/accounts">Accounts</a></li>
<li><a href="/v1/stats">Figures</a>, <a href="/metrics">metrics</a>, <a href="/health">health</a></li>
</ul>
</body>
</html>
"""


@define
class PageRoutes:
    """`describe` makes the document; it is asked once, by the first client who wants it."""

    version: str
    describe: Callable[[], dict[str, Any]]
    _document: bytes | None = field(default=None, init=False)

    def table(self) -> list[Route[Any, Any, Any]]:
        return [
            Route(
                method="GET",
                path="/",
                run=self.home,
                grant=None,
                at=Nothing,
                query=Ignored,
                body=Nothing,
                content_type="text/html",
                about="What this is",
                area=_AREA,
            ),
            Route(
                method="GET",
                path="/swagger.json",
                run=self.document,
                grant=None,
                at=Nothing,
                query=Ignored,
                body=Nothing,
                about="This document",
                area=_AREA,
            ),
        ]

    async def home(self, call: Call[Nothing, Ignored, Nothing]) -> Page:
        return Page("text/html; charset=utf-8", _HOME.format(version=escape(self.version)).encode())

    async def document(self, call: Call[Nothing, Ignored, Nothing]) -> Page:
        if self._document is None:
            self._document = encode(self.describe())
        return Page(f"{JSON}; charset=utf-8", self._document)
