"""A TCP relay that can stop passing anything on without closing anything, as a lost route or a tired NAT does."""

from __future__ import annotations

import socket
import threading


class Relay:
    """Passes connections to `port` on to `target`. `cut` drops what comes from then on over those that are open."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._open: list[_Way] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def connections(self) -> int:
        """How many there have been."""
        return len(self._open) // 2

    def cut(self) -> None:
        for way in list(self._open):
            way.cut = True

    def stop(self) -> None:
        self._socket.close()
        for way in self._open:
            way.end()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._socket.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            for way in (_Way(near, far), _Way(far, near)):
                self._open.append(way)
                threading.Thread(target=way.run, daemon=True).start()


class _Way:
    """One direction of one connection."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self._source = source
        self._sink = sink
        self.cut = False

    def run(self) -> None:
        try:
            while octets := self._source.recv(65536):
                if not self.cut:
                    self._sink.sendall(octets)
        except OSError:
            pass
        if not self.cut:
            self._sink.close()

    def end(self) -> None:
        self._source.close()
