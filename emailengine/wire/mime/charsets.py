"""Character sets as mail really uses them: names that are wrong, bytes that do not fit, and no name at all."""

from __future__ import annotations

import codecs
import re
from collections.abc import Generator
from encodings.aliases import aliases
from functools import lru_cache
from typing import Final

import cchardet

# The declared name is often that of a subset of what was used.
_SUPERSETS: Final = {
    "us-ascii": "cp1252",
    "ascii": "cp1252",
    "ansi-x3.4-1968": "cp1252",
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "windows-1252": "cp1252",
    "iso-8859-9": "cp1254",
    "iso-8859-11": "cp874",
    "tis-620": "cp874",
    "iso-8859-8-i": "iso8859_8",
    "iso-8859-8-e": "iso8859_8",
    "iso-8859-6-i": "iso8859_6",
    "utf8": "utf-8",
    "utf-8": "utf-8",
    "unicode-1-1-utf-7": "utf-7",
    "unicode": "utf-8",
    "gb2312": "gb18030",
    "gb-2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "cn-gb": "gb18030",
    "hz-gb-2312": "hz",
    "big5": "cp950",
    "x-x-big5": "cp950",
    "cn-big5": "cp950",
    "euc-kr": "cp949",
    "ks-c-5601-1987": "cp949",
    "ks-c-5601-1989": "cp949",
    "ksc5601": "cp949",
    "ks-c-5601": "cp949",
    "x-windows-949": "cp949",
    "shift-jis": "cp932",
    "shiftjis": "cp932",
    "sjis": "cp932",
    "x-sjis": "cp932",
    "windows-31j": "cp932",
    "ms-kanji": "cp932",
    "cseucpkdfmtjapanese": "euc_jp",
    "x-euc-jp": "euc_jp",
    "iso-2022-jp": "iso2022_jp_2",
    "x-mac-cyrillic": "mac_cyrillic",
    "macintosh": "mac_roman",
    "x-mac-roman": "mac_roman",
    "koi8-ru": "koi8_u",
}

# Only the codecs of the standard library that are character sets: its others run code points through an
# interpreter of escapes, or take time that grows with the square of the length. Asking `codecs.lookup` for
# names out of the mail would also keep each of them in its cache for ever.
_FORBIDDEN: Final = frozenset(
    [
        "base64_codec",
        "bz2_codec",
        "hex_codec",
        "quopri_codec",
        "rot_13",
        "uu_codec",
        "zlib_codec",
        "unicode_escape",
        "raw_unicode_escape",
        "punycode",
        "idna",
        "undefined",
        "mbcs",
        "oem",
        "charmap",
        "palmos",
    ]
)
_CODECS: Final = {alias: codec for alias, codec in aliases.items() if codec not in _FORBIDDEN} | {
    codec: codec for codec in aliases.values() if codec not in _FORBIDDEN
}

_LATIN: Final = frozenset(("cp1252", "cp1250", "cp1254", "iso8859_2", "iso8859_3", "iso8859_4", "iso8859_15"))
_GUESSES: Final = {
    "ISO-8859-1": "cp1252",
    "WINDOWS-1252": "cp1252",
    "ISO-8859-15": "iso8859_15",
    "ISO-8859-2": "iso8859_2",
    "WINDOWS-1250": "cp1250",
    "ISO-8859-3": "iso8859_3",
    "ISO-8859-4": "iso8859_4",
    "ISO-8859-9": "cp1254",
    "WINDOWS-1254": "cp1254",
    "WINDOWS-1251": "cp1251",
    "KOI8-R": "koi8_r",
    "ISO-8859-5": "iso8859_5",
    "WINDOWS-1253": "cp1253",
    "ISO-8859-7": "iso8859_7",
    "WINDOWS-1255": "cp1255",
    "ISO-8859-8": "cp1255",
    "WINDOWS-1256": "cp1256",
    "WINDOWS-1257": "cp1257",
    "WINDOWS-1258": "cp1258",
    "TIS-620": "cp874",
    "SHIFT_JIS": "cp932",
    "EUC-JP": "euc_jp",
    "ISO-2022-JP": "iso2022_jp_2",
    "EUC-KR": "cp949",
    "UHC": "cp949",
    "BIG5": "cp950",
    "GB18030": "gb18030",
    "GB2312": "gb18030",
    "EUC-TW": "gb18030",
}
_WIDE: Final = frozenset(
    (
        "utf-8",
        "gb18030",
        "cp949",
        "cp950",
        "cp932",
        "euc_jp",
        "iso2022_jp",
        "iso2022_jp_2",
        "iso2022_kr",
        "hz",
        "big5hkscs",
    )
)  # characters of several octets, which take three times as long as a table of 256
_LOOKED_AT: Final = 4096  # bytes shown to the detector: 0.1 ms
_FEW: Final = 12  # with fewer bytes over 127 the detector throws dice between the Latin sets

_ASCII: Final = bytes(range(128))
_NAME = re.compile(r"[_\s]")


@lru_cache(maxsize=256)
def find(name: str) -> str | None:
    """The codec to read a declared charset with, or None if there is none."""
    plain = _NAME.sub("-", name.strip(" \t\"';").lower())
    known = _SUPERSETS.get(plain)
    if known is not None:
        return known
    for prefix in ("", "x-"):
        bare = plain.removeprefix(prefix).replace("-", "_").replace(".", "_")
        for form in (bare, bare.replace("cp_", "cp", 1), bare.replace("win_", "cp", 1)):
            codec = _CODECS.get(form)
            if codec is not None:
                return codecs.lookup(codec).name
    return None


def decode(data: bytes, charset: str | None) -> str:
    """
    Bytes as text, whatever is claimed about them. Never raises.

    Without a usable name: UTF-8 if it is that, else what statistics say, else windows-1252. With a name it is
    believed, except where the bytes contradict: the Latin-1 family gives way to valid UTF-8, and a strict failure to
    UTF-8 or to a guess. A character cut off at the end, as in text that was fetched up to a limit, is dropped.
    """
    if _is_plain(data):
        return data.decode("ascii")
    codec = find(charset) if charset else None
    if codec is None:
        return guess(data)
    if codec == "cp1252":
        if data.isascii():
            return data.decode("ascii")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return _windows_1252(data) if (charset or "").lower() not in ("us-ascii", "ascii") else guess(data)
    try:
        return data.decode(codec)
    except UnicodeDecodeError as error:
        if error.start >= len(data) - 4 and error.start > 0:
            return data[: error.start].decode(codec, "replace")
    except UnicodeError:  # UTF-16 and UTF-32 without a byte order that makes sense
        return guess(data)
    text = data.decode(codec, "replace")
    if codec == "utf-8":
        # A damaged character or two in much text, or another charset altogether?
        return text if text.count("\ufffd") * 50 < len(text) else guess(data)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return text


def decode_steps(data: bytes, charset: str | None, size: int) -> Generator[None, None, str]:
    """
    `decode` in steps of about `size` octets each, which yield nothing; the text is what the generator returns.

    A text that is not what its charset claims, or claims none, takes one last step as long as `decode` does.
    """
    codec = find(charset) if charset and len(data) > size and not _is_plain(data) else None
    if codec in _WIDE:
        assert codec is not None
        yield
        decoder = codecs.getincrementaldecoder(codec)()
        pieces: list[str] = []
        try:
            for start in range(0, len(data), size):
                pieces.append(decoder.decode(data[start : start + size]))
                yield
            pieces.append(decoder.decode(b"", True))
            return "".join(pieces)
        except UnicodeDecodeError as error:
            # after the last slice, a character cut off at the end
            left = len(error.object) - error.start
            if len(pieces) * size >= len(data) and left <= min(4, len(data) - 1):
                return "".join(pieces)
        except UnicodeError:  # an escape sequence too long to be one
            pass
    return decode(data, charset)


def _is_plain(data: bytes) -> bool:
    """Whether these octets are ASCII without anything that shifts to other characters."""
    return data.isascii() and b"\x1b" not in data and b"~{" not in data and b"+" not in data and b"\0" not in data


def guess(data: bytes) -> str:
    """Bytes of which nothing is known: UTF-8, else by statistics, else windows-1252."""
    if b"\x1b$" in data and data.isascii():
        try:
            return data.decode("iso2022_jp_2")
        except UnicodeDecodeError:
            pass
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start >= len(data) - 3 and not data[: error.start].isascii():
            return data[: error.start].decode("utf-8")
    codec = _detect(data[:_LOOKED_AT])
    if codec is not None and codec != "cp1252":
        try:
            return data.decode(codec)
        except UnicodeDecodeError as error:
            if error.start >= len(data) - 4:
                return data[: error.start].decode(codec, "replace")
    return _windows_1252(data)


def _detect(sample: bytes) -> str | None:
    found = cchardet.detect(sample)
    codec = _GUESSES.get((found["encoding"] or "").upper())
    if codec is None or (found["confidence"] or 0) < 0.4:
        return None
    if codec in _LATIN and len(sample.translate(None, _ASCII)) < _FEW:
        return None
    return codec


def _windows_1252(data: bytes) -> str:
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # five bytes have no character there


codecs.lookup("cp1252")  # loads the module now, not in the middle of a turn
