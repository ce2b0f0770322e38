"""Every way of logging in, with a real Dovecot: passwords in four forms, and tokens that it checks itself."""

from __future__ import annotations

import base64
import hmac
import json
import shutil
import tempfile
import time
from collections.abc import Awaitable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from attrs import evolve
from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from emailengine.core.deadline import Deadline
from emailengine.errors import AuthenticationRefused, EmailEngineError, NotNow, TlsFailed
from emailengine.imap.commands.auth import Authenticate, Capabilities
from emailengine.imap.connection import Connection
from emailengine.imap.session import ImapTarget, Session, open_session
from emailengine.net import resolver
from emailengine.net.credentials import Credentials
from emailengine.net.dial import Dialer
from emailengine.net.tls import Contexts, TlsPolicy
from emailengine.wire import sasl
from tests.integration.certificates import Authority
from tests.integration.dovecot import BINARY, Dovecot

pytestmark = pytest.mark.skipif(not Path(BINARY).exists(), reason="needs Dovecot (package dovecot-imapd)")

E = TypeVar("E", bound=EmailEngineError)
PASSWORD = 'g€heim, "ja"\\'
ANNA = Credentials(user="anna", password=PASSWORD)
_KEY = b"a key that only the server and these tests know"


def token(user: str, *, lasts: float = 600.0) -> str:
    """A signed token (RFC 7519), as a provider hands them out."""
    now = int(time.time())
    parts = [{"alg": "HS256", "typ": "JWT"}, {"sub": user, "iat": now, "exp": int(now + lasts)}]
    text = ".".join(_url(json.dumps(one).encode()) for one in parts)
    return f"{text}.{_url(hmac.digest(_KEY, text.encode(), 'sha256'))}"


def _url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.fixture(scope="class")
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One server that knows every mechanism, and one that allows nothing without TLS."""
    directory = tmp_path_factory.mktemp("dovecot")
    keys = Path(tempfile.mkdtemp(prefix="keys-"))  # where another user may read
    keys.chmod(0o755)
    key = keys / "default" / "HS256" / "default"
    key.parent.mkdir(parents=True)
    key.write_bytes(base64.b64encode(_KEY))
    oauth = directory / "oauth2.conf"
    oauth.write_text(
        f"introspection_mode = local\nusername_attribute = sub\nlocal_validation_key_dict = fs:posix:prefix={keys}/\n"
    )
    extra = f"""
auth_mechanisms = plain login scram-sha-256 xoauth2 oauthbearer
auth_username_chars =
protocol imap {{
  mail_plugins = imap_zlib
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {oauth}
}}
"""
    pair = Authority(directory).server()
    users = {"anna": PASSWORD, "b=o,b": PASSWORD}
    every = Dovecot(directory, certificate=pair.certificate, key=pair.key, users=users, extra=extra)
    (directory / "strict").mkdir()
    strict = Dovecot(
        directory / "strict",
        certificate=pair.certificate,
        key=pair.key,
        users=users,
        max_connections=1,
        extra="ssl = required\ndisable_plaintext_auth = yes\nauth_mechanisms = plain login\n",
    )
    request.cls.every, request.cls.strict, request.cls.directory = every, strict, directory
    yield
    every.stop()
    strict.stop()
    shutil.rmtree(keys)


@pytest.mark.usefixtures("servers")
class SaslTests(TestCase):
    every: Dovecot
    strict: Dovecot
    directory: Path

    def setUp(self) -> None:
        self.reactor: Any = cast("Any", reactor)
        before = self.reactor.nameResolver
        resolver.install(self.reactor)
        self.addCleanup(self.reactor.installNameResolver, before)
        self.contexts = Contexts()
        self.dialer = Dialer(reactor=self.reactor, contexts=self.contexts)
        self.target = ImapTarget(
            host="127.0.0.1", port=self.every.port, secure=True, tls=TlsPolicy(verify=False), starttls="never"
        )
        self.clear = evolve(self.target, port=self.every.plain_port, secure=False)

    async def open(self, target: ImapTarget, credentials: Credentials) -> Session:
        return await open_session(
            clock=self.reactor,
            dialer=self.dialer,
            contexts=self.contexts,
            target=target,
            credentials=credentials,
            news=lambda _: None,
            client_id={"name": "emailengine"},
            timeout=20,
        )

    async def refused(self, target: ImapTarget, credentials: Credentials) -> EmailEngineError:
        error = await self.error(EmailEngineError, self.open(target, credentials))
        for secret in (credentials.password, credentials.access_token):
            self.assertNotIn(secret or "secret", str(error))
        return error

    async def error(self, kind: type[E], work: Awaitable[object]) -> E:
        try:
            await work
        except kind as error:
            return error
        raise AssertionError(f"no {kind.__name__}")

    async def authenticate(self, mechanism: str, credentials: Credentials, *, initial: bool) -> frozenset[str]:
        """Log in by this mechanism and no other."""
        target = self.target
        build = partial(Connection, self.reactor, target.host, lambda _: None)
        connection = await self.dialer.connect(
            build, target.host, target.port, tls=target.tls, deadline=Deadline.after(self.reactor, 20)
        )
        try:
            await connection.greeting()
            dialogue = sasl.begin(
                mechanism,
                user=credentials.user,
                password=credentials.password,
                access_token=credentials.access_token,
                host=target.host,
                port=target.port,
            )
            await connection.run(Authenticate(dialogue, credentials, initial=initial))
            return await connection.run(Capabilities())
        finally:
            connection.abort("done")
            await connection.gone()

    async def test_each(self) -> None:
        """Every mechanism lets the right secret in, with its first response in the command and after it."""
        bearer = Credentials(user="anna", access_token=token("anna"))
        odd = evolve(ANNA, user="b=o,b")
        for mechanism, credentials in (
            ("PLAIN", ANNA),
            ("LOGIN", ANNA),
            ("SCRAM-SHA-256", ANNA),
            ("SCRAM-SHA-256", odd),
            ("XOAUTH2", bearer),
            ("OAUTHBEARER", bearer),
        ):
            for initial in (True, False):
                self.assertIn("IDLE", await self.authenticate(mechanism, credentials, initial=initial), mechanism)

    async def test_each_refuses(self) -> None:
        """Every mechanism keeps the wrong secret out, and the connection is told so at once."""
        for mechanism, credentials in (
            ("PLAIN", evolve(ANNA, password="wrong")),
            ("LOGIN", evolve(ANNA, password="wrong")),
            ("SCRAM-SHA-256", evolve(ANNA, password="wrong")),
            ("SCRAM-SHA-256", evolve(ANNA, user="nobody")),
            ("XOAUTH2", Credentials(user="anna", access_token=token("anna", lasts=-60))),
            ("OAUTHBEARER", Credentials(user="anna", access_token=token("anna", lasts=-60))),
            ("OAUTHBEARER", Credentials(user="anna", access_token=token("anna")[:-4] + "AAAA")),
        ):
            error = await self.error(AuthenticationRefused, self.authenticate(mechanism, credentials, initial=True))
            self.assertEqual(error.code, "AUTHENTICATIONFAILED", mechanism)
            if credentials.access_token is not None:
                self.assertRegex(error.message, r"\((401|invalid_token)\)$")

    async def test_sessions(self) -> None:
        """With TLS, and in the clear where the password is not told; namespaces and what is enabled are known then."""
        for target, credentials in (
            (self.target, ANNA),
            (self.clear, ANNA),
            (self.target, Credentials(user="anna", access_token=token("anna"))),
        ):
            session = await self.open(target, credentials)
            self.assertEqual(session.encrypted, target.secure)
            self.assertIn("COMPRESS=DEFLATE", session.capabilities)
            self.assertLessEqual({"CONDSTORE", "QRESYNC"}, session.enabled)
            assert session.namespaces is not None
            self.assertEqual([(one.prefix, one.delimiter) for one in session.namespaces.personal], [("", "/")])
            self.assertEqual(session.server["name"], "Dovecot")
            self.assertIn("INBOX", [one.entry.name for one in await session.list_folders()])
            await session.logout()
        self.assertIn("method=SCRAM-SHA-256", self.every.log.read_text())

    async def test_not_in_clear(self) -> None:
        """A server that wants TLS is not told the password without it."""
        # from and to one address it counts as safe
        clear = evolve(self.target, port=self.strict.plain_port, secure=False, local_address="127.0.0.2")
        self.assertIsInstance(await self.refused(clear, ANNA), TlsFailed)
        session = await self.open(evolve(clear, starttls="required"), ANNA)
        self.assertTrue(session.encrypted)
        await session.logout()

    async def test_too_many(self) -> None:
        """The connection beyond those that a user may have is not a wrong password."""
        target = evolve(self.target, port=self.strict.port)
        first = await self.open(target, ANNA)
        error = await self.refused(target, ANNA)
        self.assertIsInstance(error, NotNow)
        self.assertEqual(cast("NotNow", error).meaning.name, "LIMIT")
        await first.logout()
