"""A server that answers from memory, in a process of its own, so that it is never what is waited for.

python tests/bench/server.py CERTIFICATE KEY     prints the ports with TLS and without as soon as it listens
"""

from __future__ import annotations

import asyncio
import resource
import ssl
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import frozen

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench import mailbox
from tests.integration.certificates import Authority

MESSAGES = 10_000
LITERAL = 64 * 1024 * 1024
LITERALS = 8
CAPABILITIES = b"IMAP4rev1 IDLE COMPRESS=DEFLATE SASL-IR AUTH=PLAIN"


@frozen
class Server:
    """Where it listens, and what to trust."""

    tls: int
    plain: int
    ca: str


@contextmanager
def serving() -> Iterator[Server]:
    """A server for as long as the block runs."""
    with TemporaryDirectory() as directory:
        authority = Authority(Path(directory))
        pair = authority.server(["localhost", "127.0.0.1"])
        child = subprocess.Popen(
            [sys.executable, __file__, str(pair.certificate), str(pair.key)], stdout=subprocess.PIPE, text=True
        )
        try:
            assert child.stdout is not None
            tls, plain = child.stdout.readline().split()
            yield Server(int(tls), int(plain), authority.ca)
        finally:
            child.kill()
            child.wait()


class _Client(asyncio.Protocol):
    def __init__(self, answers: dict[bytes, list[bytes]]) -> None:
        self._answers = answers
        self._buffer = b""
        self._waiting: list[bytes] = []
        self._paused = False
        self._idle: bytes | None = None
        self._inflate: zlib._Decompress | None = None
        self._deflate: zlib._Compress | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"* OK [CAPABILITY " + CAPABILITIES + b"] ready\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data if self._inflate is None else self._inflate.decompress(data)
        while b"\n" in self._buffer:
            line, self._buffer = self._buffer.split(b"\n", 1)
            self._heard(line.strip())

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._send()

    def _say(self, *chunks: bytes) -> None:
        self._waiting.extend(chunks)
        self._send()

    def _send(self) -> None:
        self._waiting.reverse()
        while self._waiting and not self._paused:
            chunk = self._waiting.pop()
            if self._deflate is not None:
                chunk = self._deflate.compress(chunk) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
            self._transport.write(chunk)
        self._waiting.reverse()

    def _heard(self, line: bytes) -> None:
        if self._idle is not None:
            tag, self._idle = self._idle, None
            self._say(tag + b" OK done\r\n")
            return
        tag, _, rest = line.partition(b" ")
        command = rest.upper()
        if command == b"IDLE":
            self._idle = tag
            self._say(b"+ idling\r\n")
        elif command.startswith(b"COMPRESS"):
            self._say(tag + b" OK compressed from here\r\n")
            self._inflate = zlib.decompressobj(-15)
            self._deflate = zlib.compressobj(wbits=-15)
        elif command.startswith((b"LOGIN", b"AUTHENTICATE")):
            self._say(tag + b" OK [CAPABILITY " + CAPABILITIES + b"] welcome\r\n")
        else:
            found = next((chunks for word, chunks in self._answers.items() if word in command), [])
            self._say(*found, tag + b" OK done\r\n")


def _answers() -> dict[bytes, list[bytes]]:
    """By a word of the command, in this order: what is told before the OK, cut as a socket takes it."""
    piece = bytes(range(33, 127)) * 700
    octets = (piece * 16)[: 1024 * 1024]
    attachments = []
    for n in range(1, LITERALS + 1):
        attachments.append(b"* %d FETCH (UID %d BODY[2] {%d}\r\n" % (n, n, LITERAL))
        attachments.extend([octets] * (LITERAL // len(octets)))
        attachments.append(b")\r\n")
    return {
        b"SOME ": [mailbox.full(100)],
        b"BODY.PEEK[2]": attachments,
        b"ENVELOPE": _cut(mailbox.full(MESSAGES)),
        b"FLAGS": _cut(mailbox.flags_only(MESSAGES)),
        b"LOGOUT": [b"* BYE\r\n"],
    }


def _cut(data: bytes) -> list[bytes]:
    return [data[at : at + 262_144] for at in range(0, len(data), 262_144)]


async def _serve(certificate: str, key: str) -> None:
    loop = asyncio.get_running_loop()
    answers = _answers()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.num_tickets = 0
    one = await loop.create_server(lambda: _Client(answers), "127.0.0.1", 0, ssl=context, backlog=4096)
    two = await loop.create_server(lambda: _Client(answers), "127.0.0.1", 0, backlog=4096)
    print(one.sockets[0].getsockname()[1], two.sockets[0].getsockname()[1], flush=True)
    await asyncio.gather(one.serve_forever(), two.serve_forever())


def allow_many_files() -> int:
    """As many open files as the system lets us have."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


if __name__ == "__main__":
    allow_many_files()
    asyncio.run(_serve(*sys.argv[1:3]))
