"""
Look for octets that the wire layer cannot bear, guided by which code they reach.

    python tests/fuzz/fuzz_imap.py -max_total_time=600 FOUND tests/fuzz/corpus

The arguments are libFuzzer's: what is new goes into the first folder. With `-merge=1 NEW OLD...` it writes the smallest
set of files of OLD that reaches the same code. Needs `pip install '.[fuzz]'`. The words of the protocol, which no
coverage leads to where they are inside of regular expressions, are in imap.dict.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any


def main() -> None:
    atheris: Any = import_module("atheris")
    with atheris.instrument_imports(include=["emailengine.wire"]):
        check = import_module("tests.fuzz.reading").check
    words = Path(__file__).with_name("imap.dict")
    itself = f"{sys.executable} {__file__}"  # for -merge, which starts it again through a shell
    atheris.Setup([itself, "-max_len=600", f"-dict={words}", *sys.argv[1:]], check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
