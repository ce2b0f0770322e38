"""A real SMTP server (aiosmtpd) in a process of its own, which keeps what it accepts as files.

STARTTLS or implicit TLS with the given certificate, AUTH required when a password is given. A recipient whose local
part is `refused` gets a 550, `later` a 451.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import uuid
from pathlib import Path
from typing import Any


def main() -> None:
    from aiosmtpd.smtp import SMTP, AuthResult

    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--password")
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--implicit", action="store_true")
    options = parser.parse_args()

    class Keeping:
        async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, rest: list[str]) -> str:
            if address.startswith("refused@"):
                return "550 5.1.1 No such user"
            if address.startswith("later@"):
                return "451 4.7.1 Try again later"
            envelope.rcpt_tos.append(address)
            return "250 OK"

        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            name = uuid.uuid4().hex
            record = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "tls": session.ssl is not None}
            (options.store / f"{name}.eml").write_bytes(envelope.content)
            (options.store / f"{name}.json.new").write_text(json.dumps(record))
            (options.store / f"{name}.json.new").rename(options.store / f"{name}.json")
            return f"250 2.0.0 kept as {name}"

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
        return AuthResult(success=data.password == options.password.encode(), handled=data.password is None)

    context = None
    if options.certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.certificate, options.key)
    arguments: dict[str, Any] = {"enable_SMTPUTF8": True}
    if options.password is not None:
        arguments |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": context is not None}
    if context is not None and not options.implicit:
        arguments |= {"tls_context": context}

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: SMTP(Keeping(), **arguments), "127.0.0.1", options.port, ssl=context if options.implicit else None
        )
        await server.serve_forever()

    asyncio.run(serve())


class PostOffice:
    """The SMTP server as a test sees it."""

    def __init__(
        self,
        directory: Path,
        *,
        password: str | None = None,
        certificate: str | None = None,
        key: str | None = None,
        implicit: bool = False,
        port: int | None = None,
    ) -> None:
        from tests.integration.processes import Running, eventually, free_port, listening, python

        self.port = port or free_port()
        self.store = directory / "posted"
        self.store.mkdir(exist_ok=True)
        arguments = ["--port", str(self.port), "--store", str(self.store)]
        if password is not None:
            arguments += ["--password", password]
        if certificate and key:
            arguments += ["--certificate", certificate, "--key", key]
        if implicit:
            arguments.append("--implicit")
        self._running = Running(python(Path(__file__), *arguments), directory / "postoffice.log")
        eventually(lambda: listening(self.port), "the SMTP server listens")

    def kept(self) -> list[tuple[dict[str, Any], bytes]]:
        """Every accepted message with its envelope, oldest first."""
        records = sorted(self.store.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        return [(json.loads(path.read_text()), path.with_suffix(".eml").read_bytes()) for path in records]

    def stop(self) -> None:
        self._running.kill()


if __name__ == "__main__":
    main()
