"""A long command handed to the transport slice by slice, as fast as the server takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from twisted.internet.interfaces import IPullProducer
from zope.interface import implementer


@implementer(IPullProducer)
class Feeding:
    """`told` hears of each slice that was handed over, and with True of the end. `packed` is what goes out for one."""

    def __init__(
        self,
        transport: Any,
        chunks: Sequence[bytes],
        size: int,
        told: Callable[[bool], None],
        packed: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self._transport = transport
        self._slices = _slices(chunks, size)
        self._told = told
        self._packed = packed
        self._over = False

    def start(self) -> None:
        self._transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        if self._over:
            return
        for octets in self._slices:
            self._transport.write(octets if self._packed is None else self._packed(octets))
            self._told(False)
            return
        self.stop()
        self._told(True)

    def stopProducing(self) -> None:
        """The transport is gone; `connectionLost` follows and says why."""
        self._over = True

    def stop(self) -> None:
        """No more of it."""
        if not self._over:
            self._over = True
            self._transport.unregisterProducer()


def _slices(chunks: Sequence[bytes], size: int) -> Iterator[bytes]:
    for chunk in chunks:
        for at in range(0, len(chunk), size):
            yield chunk[at : at + size]
