"""The configuration: where each value comes from, and one clear line for everything that is wrong."""

from __future__ import annotations

import base64
import os
import tempfile
import tomllib
import unittest
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from emailengine.config import KEYS, WITHOUT_EFFECT, Config, duration, load, size
from emailengine.errors import ConfigurationInvalid
from emailengine.model.token import token_id
from tests.integration.processes import ROOT

HOME = {"XDG_STATE_HOME": "/home/x/state"}


class ConfigCase(unittest.TestCase):
    def setUp(self) -> None:
        self.directory = tempfile.TemporaryDirectory(prefix="ee-config-")
        self.addCleanup(self.directory.cleanup)

    def file(self, text: str) -> str:
        path = Path(self.directory.name) / "emailengine.toml"
        path.write_text(text)
        return str(path)

    def load(self, options: Mapping[str, str] = {}, file: str | None = None, **environment: str) -> Config:
        return load(options, HOME | environment, file)

    def refused(self, options: Mapping[str, str] = {}, file: str | None = None, **environment: str) -> str:
        with self.assertRaises(ConfigurationInvalid) as caught:
            self.load(options, file, **environment)
        self.assertNotIn("\n", caught.exception.message)
        return caught.exception.message


class SourceTests(ConfigCase):
    def test_defaults(self) -> None:
        """With nothing given it listens on this machine's port 3000 and runs a Redis of its own."""
        config = self.load()
        self.assertEqual((config.host, config.port, config.redis_url), ("127.0.0.1", 3000, None))
        self.assertEqual((config.max_body, config.max_submit_body), (1024 * 1024, 50 * 1024 * 1024))
        self.assertEqual((config.request_timeout, config.webhook_timeout), (10.0, 30.0))
        self.assertEqual(config.state_dir, Path("/home/x/state/emailengine"))
        self.assertEqual(config.warnings, ())

    def test_precedence(self) -> None:
        """An option wins over the environment, the environment over the file, the file over the default."""
        file = self.file("[api]\nport = 1\nhost = '::1'\n[log]\nlevel = 'error'\n")
        config = self.load({"api.port": "3"}, file, EENGINE_PORT="2", EENGINE_LOG_LEVEL="debug")
        self.assertEqual((config.port, config.log_level, config.host), (3, "debug", "::1"))
        self.assertEqual(self.load({}, file, EENGINE_PORT="2").port, 2)
        self.assertEqual(self.load({}, file).port, 1)

    def test_every_key_from_every_source(self) -> None:
        """Each key can be given in all three places, and means the same there."""
        token = base64.urlsafe_b64encode(msgspec.msgpack.encode({"id": "a" * 64, "created": "x"})).decode()
        values = {
            "dbs.redis": "redis://localhost/3",
            "dbs.redisPrefix": "mine",
            "state-dir": "/srv/state",
            "api.host": "0.0.0.0",
            "api.port": "8080",
            "api.auth": "me:word",
            "api.maxSize": "7M",
            "api.maxBodySize": "70M",
            "api.maxPayloadTimeout": "20 s",
            "cors.origin": "https://a.example https://b.example:81",
            "cors.maxAge": "5m",
            "service.commandTimeout": "15000",
            "service.secret": "hush",
            "log.level": "warn",
            "imap.socketTimeout": "2 minutes",
            "webhooks.timeout": "5s",
            "webhooks.egressPolicy": "private",
            "queues.notify": "3",
            "queues.submit": "4",
            "settings": '{"notifyText": true}',
            "preparedToken": token,
        }
        self.assertEqual(set(values), {key.name for key in KEYS})
        by_option = self.load(values)
        for key in KEYS:
            for variable in key.environment:
                alone = self.load({}, None, **{variable: values[key.name]})
                self.assertEqual(getattr(alone, key.field), getattr(by_option, key.field), variable)
            self.assertNotEqual(getattr(self.load(), key.field), getattr(by_option, key.field), key.name)
        text = "".join(f"{name} = {msgspec.json.encode(value).decode()}\n" for name, value in values.items())
        self.assertEqual(self.load({}, self.file(text)), by_option)

    def test_file_from_environment(self) -> None:
        """The environment may name the file."""
        self.assertEqual(self.load({}, None, EENGINE_CONFIG=self.file("api.port = 5")).port, 5)

    def test_value_in_a_file(self) -> None:
        """`X_FILE` names a file with the value of `X`, as secrets are handed to containers."""
        secret = self.file("hush\n")
        self.assertEqual(self.load({}, None, EENGINE_SECRET_FILE=secret).secret, "hush")
        said = self.refused({}, None, EENGINE_SECRET_FILE="/nowhere")
        self.assertEqual(said, "EENGINE_SECRET_FILE: cannot read /nowhere: No such file or directory")

    def test_empty_variable(self) -> None:
        """A variable that is set to nothing counts as not set."""
        self.assertEqual(self.load({}, None, EENGINE_REDIS="", EENGINE_PORT="").port, 3000)

    def test_empty_option_overrides(self) -> None:
        """An empty option takes back what a weaker source said."""
        self.assertIsNone(self.load({"dbs.redis": ""}, None, EENGINE_REDIS="redis://x").redis_url)

    def test_state_directory(self) -> None:
        """An option first, then systemd's directory, then the user's; always absolute."""
        self.assertEqual(load({}, {"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}).state_dir, Path("/var/lib/a"))
        relative = load({"state-dir": "here/../there"}, {"STATE_DIRECTORY": "/var/lib/a"}).state_dir
        self.assertEqual(relative, Path(os.getcwd()) / "there")
        self.assertEqual(load({}, {}).state_dir, Path("~/.local/state/emailengine").expanduser())

    def test_example(self) -> None:
        """The example file is valid, changes nothing, and shows only keys that exist."""
        example = ROOT / "etc" / "emailengine.toml"
        self.assertEqual(self.load({}, str(example)), self.load())
        lines = [line.removeprefix("# ") for line in example.read_text().splitlines()]
        wanted = "\n".join(line for line in lines if line.startswith("[") or " = " in line)
        self.assertEqual(self.load({}, self.file(wanted)).warnings, ())
        shown = {
            f"{table}.{name}"
            for table, names in tomllib.loads(wanted).items()
            if isinstance(names, dict)
            for name in names
        }
        self.assertLess({"dbs.redis", "api.host", "api.port", "api.auth", "service.secret"}, shown)


class RefusalTests(ConfigCase):
    def test_unknown_names(self) -> None:
        """Unknown names are refused wherever they stand, with the name that was probably meant."""
        self.assertEqual(self.refused({"api.prt": "1"}), "unknown option --api.prt (did you mean api.port?)")
        self.assertEqual(
            self.refused({}, None, EENGINE_REDIZ="x"),
            "unknown environment variable EENGINE_REDIZ (did you mean EENGINE_REDIS?)",
        )
        path = self.file("[api]\nmaxbodysize = 3")
        self.assertEqual(
            self.refused({}, path), f"unknown key api.maxbodysize in {path} (did you mean api.maxBodySize?)"
        )
        self.assertIn("unknown key colour in", self.refused({}, self.file("colour = 3")))
        self.assertIn("unknown key api in", self.refused({}, self.file("api = 3")))

    def test_wrong_values(self) -> None:
        """A wrong value is named with its place and what would be right."""
        self.assertEqual(self.refused({"api.port": "x"}), "--api.port must be a port number, 0 to 65535, not 'x'")
        for name, values in {
            "api.port": ("-1", "65536", "3.5", "٣", ""),
            "api.host": ("", " "),
            "api.maxSize": ("5 apples", "-5", "M"),
            "webhooks.timeout": ("5 parsecs", "0", "soon"),
            "log.level": ("loud",),
            "webhooks.egressPolicy": ("public",),
            "queues.submit": ("0", "cpus"),
            "cors.origin": ("app.example.com", "https://a.example/path"),
            "settings": ("[]", "{", "5"),
        }.items():
            for value in values:
                self.assertIn(f"--{name} must be ", self.refused({name: value}), value)
        for text in ("api.port = true", "api.port = '3000x'", "api.host = 5", "log.level = []", "api.maxSize = 1.5"):
            self.assertIn(" must be ", self.refused({}, self.file(text)))

    def test_secrets_are_not_repeated(self) -> None:
        """A wrong secret is not quoted in the message."""
        for name in ("api.auth", "preparedToken", "settings"):
            self.assertNotIn("open-sesame", self.refused({name: "open-sesame"}))

    def test_files(self) -> None:
        """A file that is missing, unreadable or malformed is named, with where it is wrong."""
        self.assertEqual(
            self.refused({}, "/nowhere.toml"),
            "cannot read the configuration file /nowhere.toml: No such file or directory",
        )
        self.assertIn("Is a directory", self.refused({}, self.directory.name))
        said = self.refused({}, self.file("api.port = \nx"))
        self.assertIn("emailengine.toml is not valid TOML: ", said)
        self.assertIn("line 1", said)
        Path(self.file("")).write_bytes(b"\xff\xfe")
        self.assertIn("it is not UTF-8 text", self.refused({}, str(Path(self.directory.name) / "emailengine.toml")))

    def test_prepared_token(self) -> None:
        """An exported token is read with its dates; anything else is refused."""
        value = "ab" * 32
        packed = msgspec.msgpack.encode(
            {"id": token_id(value), "created": datetime(2026, 1, 2, tzinfo=UTC), "scopes": ["api"], "extra": 1}
        )
        token = self.load({"preparedToken": base64.urlsafe_b64encode(packed).decode().rstrip("=")}).prepared_token
        assert token is not None
        self.assertEqual(token.id, token_id(value))
        self.assertEqual((token.record.created, token.record.scopes), ("2026-01-02T00:00:00Z", ["api"]))
        for wrong in ({"id": "short"}, {"created": "x"}, {"id": 5, "created": "x"}, {"id": "a" * 64}, [1]):
            encoded = base64.urlsafe_b64encode(msgspec.msgpack.encode(wrong)).decode()
            self.assertIn("an exported token", self.refused({"preparedToken": encoded}))
        self.assertIn("an exported token", self.refused({"preparedToken": "%%%"}))


class WarningTests(ConfigCase):
    def test_without_effect(self) -> None:
        """Names that mean nothing here earn a warning each, whatever their value."""
        file = self.file("[workers]\nimap = 4\n[smtp]\nenabled = true\n")
        config = self.load({"workers.api": "2"}, file, EENGINE_WORKERS="8", EENGINE_API_TLS_KEY_FILE="/x")
        self.assertEqual(len(config.warnings), 5)
        self.assertIn("--workers.api has no effect: everything runs in one process", config.warnings)

    def test_known_names_are_apart(self) -> None:
        """No name both has an effect and has none."""
        self.assertEqual({key.name for key in KEYS} & set(WITHOUT_EFFECT), set())
        variables = [variable for key in KEYS for variable in key.environment]
        self.assertEqual(len(variables), len(set(variables)))


class ValueTests(unittest.TestCase):
    def test_repr(self) -> None:
        """The printed form holds no secret."""
        config = load(
            {"dbs.redis": "redis://u:open-sesame@h", "api.auth": "u:open-sesame", "service.secret": "open-sesame"}, HOME
        )
        self.assertNotIn("open-sesame", repr(config))

    def test_durations(self) -> None:
        """A number is milliseconds; units are known by their first letters."""
        for text, seconds in {
            "500": 0.5, "500ms": 0.5, "10 s": 10, "10 Seconds": 10, "2 m": 120, "2min": 120,
            "1 mo": 2592000, "1h": 3600, "3 d": 259200, "1y": 31536000, "1.5 s": 1.5,
        }.items():  # fmt: skip
            self.assertEqual(duration(text), seconds, text)
        self.assertEqual(duration(250), 0.25)

    def test_sizes(self) -> None:
        """Units are multiples of 1024, in any case, with or without a B."""
        for text, count in {"5M": 5 << 20, "5 mb": 5 << 20, "1.5k": 1536, "7": 7, "2G": 2 << 30, "1T": 1 << 40}.items():
            self.assertEqual(size(text), count, text)

    @given(st.dictionaries(st.text(max_size=12), st.text(max_size=20), max_size=3), st.sampled_from(KEYS), st.text())
    def test_any_input(self, environment: dict[str, str], key: Any, value: str) -> None:
        """Whatever is given, the answer is a configuration or one clear line."""
        try:
            load({key.name: value}, HOME | environment)
        except ConfigurationInvalid as refused:
            self.assertTrue(refused.message)
