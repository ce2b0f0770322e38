"""`emailengine license`: our version and licence, and those of every package in use."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import TextIO

from emailengine import __version__

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def show(out: TextIO) -> int:
    """Write one line for each package, sorted by name, after our own."""
    print(f"emailengine {__version__}: MIT", file=out)
    used = in_use("emailengine")
    width = max((len(f"{name} {version}") for name, version, _ in used), default=0)
    for name, version, licence in used:
        print(f"  {f'{name} {version}':{width}}  {licence}", file=out)
    return 0


def in_use(root: str) -> list[tuple[str, str, str]]:
    """Name, version and licence of the installed packages that `root` needs, directly or not."""
    found: dict[str, tuple[str, str, str]] = {}
    waiting = [root]
    seen: set[str] = set()
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            one = distribution(name)
        except PackageNotFoundError:  # for other platforms, or an extra that is not installed
            continue
        if name != root:
            found[name] = (one.metadata["Name"], one.version, licence_of(one))
        waiting.extend(_needs(one.requires or ()))
    return [found[name] for name in sorted(found)]


def licence_of(one: Distribution) -> str:
    """The licence as its authors name it: the expression, else the classifiers, else the first line of the text."""
    metadata = one.metadata
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    classified = [
        text.rsplit(" :: ", 1)[1]
        for text in metadata.get_all("Classifier") or ()
        if text.startswith("License :: ") and not text.endswith("OSI Approved")
    ]
    if classified:
        return ", ".join(classified)
    text = metadata["License"].strip() if "License" in metadata else ""
    return text.splitlines()[0] if text else "not named"


def _needs(requirements: Iterable[str]) -> list[str]:
    # of other packages' extras only what they share with us is asked for, so an extra's parts appear when installed
    # for another reason; tools for tests and documents do not
    names = []
    for requirement in requirements:
        name = _NAME.match(requirement)
        extra = re.search(r"\bextra\s*==\s*['\"]([^'\"]+)['\"]", requirement)
        if name and (extra is None or extra[1] in ("embedded", "tls")):
            names.append(name[0])
    return names
