"""JSON and query strings to Structs, and back.

Input is read by a walk over the Struct's type that goes on after a fault, so that a client learns of all its mistakes
at once. The walk converts what the documented API converts (numbers and booleans given as text, trimmed text, a bare
value where a list is wanted) and refuses what the type does not name. Its steps are made once for each type.

What `msgspec.Meta(extra=...)` of a field may say: `trim`, `lower` (the text is converted), `as` (a name of `formats`:
the text is checked and normalised), `blank` (the empty text is allowed and stays), `single` (a bare value makes a list
of one), `false` (False means None), `lenient` (a boolean may also be "on" or ""), `later` (choices whose feature does
not exist yet, with the feature's name).

A Struct may have `later: ClassVar`, names of fields whose feature does not exist yet with the feature's name; an
`open_ended: ClassVar[bool]`, so that unknown members are left out instead of refused; and a method `faults` that yields
(path, message) for what no single field can tell.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

import msgspec
from msgspec import Meta, Struct, UnsetType

from emailengine.errors import InvalidInput
from emailengine.model.formats import FORMATS

T = TypeVar("T")

FAULT_LIMIT = 100  # what a client can read; a body of a million unknown keys must not become a larger answer

_TRUE = frozenset(("true", "1", "y"))
_FALSE = frozenset(("false", "n"))
_NUMBER = re.compile(r"[+-]?[0-9]{1,16}")
_FRACTION = re.compile(r"[+-]?[0-9]{1,16}(\.[0-9]{1,16})?")
_SAFE = 2**53 - 1  # larger integers are not the same number for every JSON reader

encode: Callable[[object], bytes] = msgspec.json.Encoder().encode
"""A Struct, or plain values, as compact JSON in UTF-8."""


class _Bad:
    """Stands for a value that could not be read."""


_BAD = _Bad()


class _Faults:
    __slots__ = ("found", "more")

    def __init__(self) -> None:
        self.found: list[dict[str, str]] = []
        self.more = 0

    def add(self, path: str, text: str) -> _Bad:
        if len(self.found) >= FAULT_LIMIT:
            self.more += 1
            return _BAD
        key = re.split(r"[.\[]", path[:-1] if path.endswith("]") else path)[-1]
        self.found.append({"message": f'"{path[:256]}" {text}', "key": key[:256]})
        return _BAD

    def __len__(self) -> int:
        return len(self.found) + self.more


_Reader = Callable[[object, str, _Faults], object]


def read_json(raw: bytes, into: type[T]) -> T:
    """
    A request's body as a Struct; an empty body is an empty object.

    `InvalidInput`, with all faults in `fields` unless the text is not JSON at all.
    """
    if not raw.strip():
        return read({}, into)
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise InvalidInput(f"The body is not JSON: {problem}") from None
    return read(value, into)


def read_pairs(pairs: Sequence[tuple[str, str]], into: type[T]) -> T:
    """A query string or a form as a Struct. A name that is there twice gives a list."""
    value: dict[str, object] = {}
    for name, text in pairs:
        if name not in value:
            value[name] = text
            continue
        there = value[name]
        if isinstance(there, list):
            there.append(text)
        else:
            value[name] = [there, text]
    return read(value, into)


def read(value: object, into: type[T]) -> T:
    """Plain values as a Struct. `InvalidInput` lists every fault."""
    faults = _Faults()
    result = reader_of(into)(value, "", faults)
    if faults.found:
        raise invalid(faults.found)
    return cast("T", result)


def invalid(fields: Sequence[Mapping[str, str]]) -> InvalidInput:
    """The refusal of input with these faults."""
    return InvalidInput("Invalid input: " + "; ".join(one["message"] for one in fields[:3]), fields=fields)


def fault(path: str, text: str) -> InvalidInput:
    """The refusal of input with one fault, found after reading."""
    faults = _Faults()
    faults.add(path, text)
    return invalid(faults.found)


def reader_of(type_: Any) -> _Reader:
    """The walk over one type; that over a Struct is made once."""
    extra: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    if get_origin(type_) is Annotated:
        type_, *notes = get_args(type_)
        for note in notes:
            if isinstance(note, Meta):
                extra |= note.extra or {}
                limits |= {name: getattr(note, name) for name in _LIMITS if getattr(note, name) is not None}
    return _plain_reader(type_, extra, limits)


_LIMITS = ("ge", "le", "min_length", "max_length")


def _plain_reader(type_: Any, extra: dict[str, Any], limits: dict[str, Any]) -> _Reader:
    origin = get_origin(type_)
    if origin in (Union, UnionType):
        return _union(get_args(type_), extra, limits)
    if origin is Literal:
        return _literal(get_args(type_), extra)
    if origin is list:
        return _list(reader_of(get_args(type_)[0]), extra, limits)
    if origin is dict:
        return _dict(reader_of(get_args(type_)[1]))
    if type_ is Any:
        return _anything
    if type_ is bool:
        return _boolean(extra)
    if type_ is int or type_ is float:
        return _number(type_, limits)
    if type_ is str:
        return _text(extra, limits)
    if isinstance(type_, type) and issubclass(type_, Struct):
        return _structure(type_)
    raise TypeError(f"no way to read {type_!r}")


def _anything(value: object, path: str, faults: _Faults) -> object:
    return value


def _union(types: Sequence[Any], extra: dict[str, Any], limits: dict[str, Any]) -> _Reader:
    inner = [one for one in types if one not in (NoneType, UnsetType)]
    if len(inner) != 1:
        raise TypeError(f"no way to tell {types!r} apart")
    read_inner = reader_of(Annotated[inner[0], Meta(extra=extra, **limits)]) if extra or limits else reader_of(inner[0])
    nullable = NoneType in types
    false_is_none = bool(extra.get("false"))

    def read_union(value: object, path: str, faults: _Faults) -> object:
        if (value is None and nullable) or (value is False and false_is_none):
            return None
        return read_inner(value, path, faults)

    return read_union


def _literal(choices: Sequence[Any], extra: dict[str, Any]) -> _Reader:
    listed = ", ".join(str(choice) for choice in choices)
    lower = bool(extra.get("lower"))
    later: Mapping[str, str] = extra.get("later", {})

    def read_literal(value: object, path: str, faults: _Faults) -> object:
        if isinstance(value, str):
            value = value.strip().lower() if lower else value.strip()
            if value in choices:
                return value
            if value in later:
                return faults.add(path, f"is not available yet: this version has no {later[value]}")
        return faults.add(path, f"must be one of [{listed}]")

    return read_literal


def _list(read_item: _Reader, extra: dict[str, Any], limits: dict[str, Any]) -> _Reader:
    single = bool(extra.get("single"))
    least, most = limits.get("min_length", 0), limits.get("max_length", 100_000)

    def read_list(value: object, path: str, faults: _Faults) -> object:
        if not isinstance(value, list):
            if not single or value is None:
                return faults.add(path, "must be a list")
            value = [value]
        if not least <= len(value) <= most:
            return faults.add(path, f"must have {least} to {most} entries")
        return [read_item(item, f"{path}[{place}]", faults) for place, item in enumerate(value)]

    return read_list


def _dict(read_item: _Reader) -> _Reader:
    def read_dict(value: object, path: str, faults: _Faults) -> object:
        if not isinstance(value, dict):
            return faults.add(path, "must be an object")
        return {name: read_item(item, f"{path}.{name}", faults) for name, item in value.items()}

    return read_dict


def _boolean(extra: dict[str, Any]) -> _Reader:
    lenient = bool(extra.get("lenient"))

    def read_boolean(value: object, path: str, faults: _Faults) -> object:
        if value is True or value is False:
            return value
        if isinstance(value, str):
            word = value.strip().lower()
            if word in _TRUE or (lenient and word == "on"):
                return True
            if word in _FALSE or (lenient and word == ""):
                return False
        elif type(value) is int and value == 0:
            return False
        return faults.add(path, "must be true or false")

    return read_boolean


def _number(type_: type, limits: dict[str, Any]) -> _Reader:
    least, most = limits.get("ge", -_SAFE), limits.get("le", _SAFE)
    whole = type_ is int

    def read_number(value: object, path: str, faults: _Faults) -> object:
        if isinstance(value, str):
            text = value.strip()
            if (_NUMBER if whole else _FRACTION).fullmatch(text):
                value = int(text) if whole else float(text)
        elif whole and isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            return faults.add(path, "must be a whole number" if whole else "must be a number")
        if not least <= value <= most:
            return faults.add(path, f"must be from {least} to {most}")
        return value

    return read_number


def _text(extra: dict[str, Any], limits: dict[str, Any]) -> _Reader:
    trim, lower, blank = bool(extra.get("trim")), bool(extra.get("lower")), bool(extra.get("blank"))
    least, most = limits.get("min_length", 0), limits.get("max_length")
    convert = FORMATS[extra["as"]] if "as" in extra else None

    def read_text(value: object, path: str, faults: _Faults) -> object:
        if not isinstance(value, str):
            return faults.add(path, "must be text")
        if trim:
            value = value.strip()
        if lower:
            value = value.lower()
        if blank and not value:
            return value
        if len(value) < least:
            return faults.add(path, "must not be empty" if least == 1 else f"must have at least {least} characters")
        if most is not None and len(value) > most:
            return faults.add(path, f"must have at most {most} characters")
        if convert is None:
            return value
        try:
            return convert(value)
        except ValueError as problem:
            return faults.add(path, str(problem))

    return read_text


class _Structure:
    """The walk over one Struct. Its fields' steps are made on the first use: types may name each other."""

    def __init__(self, type_: type[Struct]) -> None:
        self._type = type_
        self._fields: dict[str, tuple[str, _Reader]] | None = None
        self._required: list[tuple[str, str]] = []
        self._later: Mapping[str, str] = getattr(type_, "later", {})
        self._open_ended: bool = getattr(type_, "open_ended", False)
        self._rules: Callable[[Any], Iterator[tuple[str, str]]] | None = getattr(type_, "faults", None)

    def _prepare(self) -> dict[str, tuple[str, _Reader]]:
        described = msgspec.structs.fields(self._type)
        self._required = [(one.name, one.encode_name) for one in described if one.required]
        self._fields = {one.encode_name: (one.name, reader_of(one.type)) for one in described}
        return self._fields

    def __call__(self, value: object, path: str, faults: _Faults) -> object:
        if not isinstance(value, dict):
            return faults.add(path or "value", "must be an object")
        fields = self._fields or self._prepare()
        before = len(faults)
        got: dict[str, object] = {}
        for name, item in value.items():
            inner = f"{path}.{name}" if path else name
            known = fields.get(name)
            if known is not None:
                got[known[0]] = known[1](item, inner, faults)
            elif name in self._later:
                # switched off is what it is already
                if item not in (None, False, "false", "N"):
                    faults.add(inner, f"is not available yet: this version has no {self._later[name]}")
            elif not self._open_ended:
                faults.add(inner, "is not allowed")
        for attribute, name in self._required:
            if attribute not in got:
                faults.add(f"{path}.{name}" if path else name, "is required")
        if len(faults) > before:
            return _BAD
        built = self._type(**got)
        if self._rules is not None:
            for where, text in self._rules(built):
                faults.add(f"{path}.{where}" if path else where, text)
        return built


_structure = cache(_Structure)
