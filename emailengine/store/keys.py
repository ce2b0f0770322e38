"""Every key name, one method each. Kind first, account id last, since an id is any text."""

from __future__ import annotations

from attrs import field, frozen


@frozen
class Keys:
    """The keys of one installation; all begin with its prefix."""

    prefix: str
    _p: bytes = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_p", self.prefix.encode())

    def accounts(self) -> bytes:
        """Sorted set, all scores 0: account ids in order of their bytes. One entry an account."""
        return self._p + b"accounts"

    def accounts_by_state(self, state: str) -> bytes:
        """Sorted set, all scores 0: ids of the accounts in a state. One entry an account over all states."""
        return self._p + b"accounts-by-state:" + state.encode()

    def account(self, account: str) -> bytes:
        """Hash: settings, state, error, generation, owner number; `event:<name>` counts. Gone with the account."""
        return self._p + b"account:" + _id(account)

    def serials(self) -> bytes:
        """Hash: the last generation, owner number and folder number; none is given twice. Three entries."""
        return self._p + b"serials"

    def leaving(self) -> bytes:
        """Set: generation and id of deleted accounts whose folders are still being removed. Empties by itself."""
        return self._p + b"leaving"

    def left(self, leaving: bytes) -> bytes:
        """Hash: the `folders` of a deleted account, an entry of `leaving`. Removed with the last of its folders."""
        return self._p + b"left:" + leaving

    def folders(self, account: str) -> bytes:
        """Hash: the folder list, and numbers of folders by path and UIDVALIDITY. Gone with the account."""
        return self._p + b"folders:" + _id(account)

    def folder(self, number: int, account: str) -> bytes:
        """Hash: how far a folder is indexed, and its commit number. Gone with the folder or the account."""
        return self._p + b"folder:%d:" % number + _id(account)

    def rows(self, number: int, account: str) -> bytes:
        """Hash: block number -> packed rows. Gone with the folder or the account."""
        return self._p + b"rows:%d:" % number + _id(account)

    def say(self, account: str) -> bytes:
        """Stream: events that are still to be announced. An entry goes with its announcement."""
        return self._p + b"say:" + _id(account)

    def log(self, account: str) -> bytes:
        """
        Stream: the protocol log. At most `maxLogLines` entries (setting `logs`; 10 000, never over a million) of 1 KB.

        Gone with the account, or when its log is switched off.
        """
        return self._p + b"log:" + _id(account)

    def saying(self) -> bytes:
        """Set: ids of the accounts that have something to say."""
        return self._p + b"saying"

    def queue(self, kind: str, queue: str, rest: bytes = b"") -> bytes:
        """A key of a queue: `ready`, `busy`, `lane`, `job`, `past`, ... See queue.py for their bounds."""
        return self._p + kind.encode() + b":" + queue.encode() + (b":" + rest if rest else b"")

    def body(self, body_id: str) -> bytes:
        """Hash: a body that jobs share, and how many do. Gone with the last of them."""
        return self._p + b"body:" + octets(body_id)

    def count(self, minute: int) -> bytes:
        """Hash: what happened in a minute. Expires after 8 days."""
        return self._p + b"count:%d" % minute

    def idempotency(self, digest: str, account: str) -> bytes:
        """String: the stored answer to an Idempotency-Key. Expires after a day."""
        return self._p + b"idem:" + digest.encode() + b":" + _id(account)

    def settings(self) -> bytes:
        """Hash: settings by wire name, JSON values. As many as there are settings."""
        return self._p + b"settings"

    def tokens(self) -> bytes:
        """Hash: token id (SHA-256 of the value) -> record. One entry a token."""
        return self._p + b"tokens"

    def salt(self) -> bytes:
        """String: what the key for encryption at rest is derived with."""
        return self._p + b"salt"

    def version(self) -> bytes:
        """String: the version of the stored data."""
        return self._p + b"version"


def octets(text: str) -> bytes:
    """Any text as it is part of a name: what `text_of` reads again."""
    return text.encode("utf-8", "surrogatepass")


def text_of(name: bytes) -> str:
    """The text behind `octets`. `UnicodeDecodeError` for bytes that it did not make."""
    return name.decode("utf-8", "surrogatepass")


_id = octets
