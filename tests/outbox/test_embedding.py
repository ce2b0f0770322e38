"""Pictures in the HTML itself."""

from __future__ import annotations

import base64
import time

from twisted.trial.unittest import SynchronousTestCase

from emailengine.outbox.embedding import embed_images

PIXEL = base64.b64encode(b"\x89PNG pixel").decode()


class EmbedTests(SynchronousTestCase):
    def test_images(self) -> None:
        """Each picture becomes a part that the HTML names; everything around stays as it is."""
        html = (
            f'<p>a</p><img alt="x" src="data:image/png;base64,{PIXEL}"><b>data:</b>'
            f"<IMG\n SRC = 'data:image/svg+xml;charset=utf-8,%3Csvg/%3E' width=1>z"
        )
        written, parts = embed_images(html)
        self.assertEqual([one.content for one in parts], [b"\x89PNG pixel", b"<svg/>"])
        self.assertEqual([one.content_type for one in parts], ["image/png", "image/svg+xml"])
        self.assertEqual([one.filename for one in parts], ["image-1.png", "image-2.svg"])
        first, second = (one.cid for one in parts)
        self.assertEqual(
            written, f'<p>a</p><img alt="x" src="cid:{first}"><b>data:</b><IMG\n SRC = \'cid:{second}\' width=1>z'
        )

    def test_left_alone(self) -> None:
        """What is no picture's source, or cannot be read, stays."""
        for html in (
            f'<a href="data:image/png;base64,{PIXEL}">',
            f'<img src="https://x/"><p title="data:image/png;base64,{PIXEL}">',
            '<img src="data:image/png;base64,AAA">',
            '<img src="data:nonsense">',
            '<img src="data:image/png;base64,AAAA',
            "data:",
        ):
            self.assertEqual(embed_images(html), (html, []), html)

    def test_time(self) -> None:
        """No text of the allowed size takes long."""
        size = 5 * 1024 * 1024
        for piece in ('"data:', "<img ", "<img src='data:", '<img src="data:image/png;base64,AAAA">', "data:"):
            html = piece * (size // len(piece))
            began = time.perf_counter()
            embed_images(html)
            self.assertLess(time.perf_counter() - began, 0.5, piece)
