"""HTML as plain text, and the first words of a message.

The walker keeps no recursion, so nesting costs memory only; `text_pieces` hands the text out as it walks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from attrs import define, field
from selectolax.lexbor import LexborHTMLParser, LexborNode

LONGEST_HTML: Final = 131_072
"""Characters of HTML that are read; parsing them takes 2 ms, and a plain alternative longer than that helps nobody."""

_SKIPPED: Final = frozenset(
    [
        "head",
        "style",
        "script",
        "title",
        "template",
        "noscript",
        "svg",
        "math",
        "object",
        "iframe",
        "select",
        "textarea",
        "audio",
        "video",
        "canvas",
        "img",
    ]
)
_BLOCKS: Final = {
    **dict.fromkeys(
        [
            "address",
            "article",
            "aside",
            "body",
            "center",
            "dd",
            "div",
            "dl",
            "dt",
            "fieldset",
            "figcaption",
            "figure",
            "footer",
            "form",
            "header",
            "html",
            "legend",
            "li",
            "main",
            "nav",
            "section",
            "summary",
            "details",
            "tbody",
            "thead",
            "tfoot",
            "tr",
            "caption",
        ],
        1,
    ),
    **dict.fromkeys(["blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "ol", "p", "pre", "table", "ul"], 2),
}
_HIDDEN = re.compile(r"display\s*:\s*none|mso-hide\s*:\s*all", re.IGNORECASE)
_URL = re.compile(r"(?:https?|ftp|mailto|tel):", re.IGNORECASE)
_FILLERS: Final = str.maketrans({0x034F: " ", 0x200C: " ", 0x00A0: " ", 0xFEFF: " ", 0x2007: " ", 0x00AD: None})


def html_to_text(html: str, *, links: bool = True) -> str:
    """
    The text of an HTML body: blocks on lines of their own, lists with marks, quotes with `> `, no images.

    With `links` the target follows a link's text in brackets, unless it is that text. Hidden elements are left out.
    Only the first LONGEST_HTML characters are read.
    """
    return "".join(text_pieces(html, links=links))


def text_pieces(html: str, *, links: bool = True) -> Iterator[str]:
    """
    The same, breathing: empty pieces while it works, and all of the text at the end.

    The work between two pieces is at most 2 ms.
    """
    body = LexborHTMLParser(html[:LONGEST_HTML]).body
    if body is None:
        return
    page = _Page()
    inside: list[tuple[LexborNode, int]] = []  # the elements around us, and where their text began
    node: LexborNode = body
    walked = 0
    while True:
        walked += 1
        if walked % 500 == 0:
            yield ""
        if node.is_text_node:
            page.text(node.text_content or "")
        elif node.is_element_node:
            tag = node.tag or ""
            if tag not in _SKIPPED and not _hidden(node):
                page.enter(tag, node)
                inside.append((node, len(page.parts)))
                child = node.child
                if child is not None:
                    node = child
                    continue
                page.leave(*inside.pop(), links)
        following = node.next
        while following is None and inside:
            element, start = inside.pop()
            page.leave(element, start, links)
            following = element.next
        if following is None or not inside:
            break
        node = following
    yield "".join(page.parts).strip()


def preview(text: str | None, html: str | None, length: int = 220) -> str:
    """The first words of a message on one line, at most `length` characters, not cut inside a word."""
    whole = html_to_text(html, links=False) if html else (text or "")
    line = " ".join(whole[: length * 20].translate(_FILLERS).split())
    if len(line) <= length:
        return line
    return line[: length + 1].rpartition(" ")[0] or line[:length]


def _hidden(node: LexborNode) -> bool:
    attributes = node.attributes
    if not attributes:
        return False
    if "hidden" in attributes:
        return True
    style = attributes.get("style")
    return style is not None and _HIDDEN.search(style) is not None


@define
class _Page:
    """Text being set: collects words, and line breaks that are only written when more text follows."""

    parts: list[str] = field(factory=list)
    _breaks: int = 0
    _blank: bool = False
    _fresh: bool = True  # at the start of a line
    _prefix: str = ""
    _pre: int = 0
    _lists: list[int] = field(factory=list)  # the next number, -1 in lists without numbers

    def _emit(self, words: str) -> None:
        if self._breaks and self.parts:
            blank_line = "\n" + self._prefix.rstrip()
            self.parts.append(blank_line * (self._breaks - 1) + "\n" + self._prefix)
        elif not self.parts:
            self.parts.append(self._prefix)
        elif self._blank and not self._fresh:
            self.parts.append(" ")
        self._breaks, self._blank, self._fresh = 0, False, False
        self.parts.append(words)

    def text(self, raw: str) -> None:
        if self._pre:
            for index, line in enumerate(raw.split("\n")):
                if index:
                    self._break(min(self._breaks + 1, 2))
                if line.strip():
                    self._emit(line.rstrip())
            return
        words = " ".join(raw.split())
        if not words:
            self._blank = self._blank or bool(raw)
            return
        if raw[0].isspace():
            self._blank = True
        self._emit(words)
        self._blank = raw[-1].isspace()

    def _break(self, lines: int) -> None:
        self._breaks = max(self._breaks, lines)
        self._blank, self._fresh = False, True

    def enter(self, tag: str, node: LexborNode) -> None:
        lines = _BLOCKS.get(tag)
        if lines is not None:
            self._break(1 if tag in ("ul", "ol") and self._lists else lines)
        if tag == "br":
            self._break(min(self._breaks + 1, 2))
        elif tag in ("td", "th"):
            self._blank = True
        elif tag == "hr":
            self._emit("---")
        elif tag == "pre":
            self._pre += 1
        elif tag == "blockquote":
            self._prefix += "> "
        elif tag in ("ul", "ol"):
            self._lists.append(1 if tag == "ol" else -1)
        elif tag == "li":
            self._enter_item()

    def _enter_item(self) -> None:
        number = self._lists[-1] if self._lists else -1
        indent = "  " * max(0, len(self._lists) - 1)
        self._emit(indent + ("* " if number < 0 else f"{number}. "))
        self._fresh = True
        if number >= 0:
            self._lists[-1] = number + 1

    def leave(self, node: LexborNode, start: int, links: bool) -> None:
        tag = node.tag or ""
        if tag == "a" and links:
            self._link(node, start)
        elif tag == "pre":
            self._pre -= 1
        elif tag in ("ul", "ol"):
            self._lists.pop()
        lines = _BLOCKS.get(tag)
        if lines is not None:
            self._break(1 if tag in ("ul", "ol") and self._lists else lines)
        if tag == "blockquote":
            self._prefix = self._prefix[:-2]

    def _link(self, node: LexborNode, start: int) -> None:
        target = (node.attributes.get("href") or "").strip()
        if not _URL.match(target):
            return
        label = "".join(self.parts[start:]).strip()
        if label in (target, target.removeprefix("mailto:"), target.removeprefix("tel:")) or label == target.rstrip(
            "/"
        ):
            return
        blank = self._blank
        self._blank = True
        self._emit(f"[{target}]")
        self._blank = blank
