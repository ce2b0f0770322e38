"""The command `emailengine`: its sub-commands, of which running the daemon is the usual one.

Each imports what it needs when it is called: the daemon is large.
"""

from __future__ import annotations

import difflib
import gc
import os
import sys
from collections.abc import Callable, Sequence

from emailengine import __version__


def run(arguments: Sequence[str]) -> int:
    gc.disable()  # until everything is imported; what looks after the daemon's memory turns it on again
    from emailengine.commands.run import run

    return run(arguments)


def licence(arguments: Sequence[str]) -> int:
    from emailengine.commands.license import show

    if arguments:
        _refuse(f"license takes no arguments, not {arguments[0]!r}")
        return 1
    return show(sys.stdout)


def tokens(arguments: Sequence[str]) -> int:
    from emailengine.commands.tokens import run

    return run(arguments)


def _refuse(text: str) -> None:
    from emailengine.tap import complain

    complain(text)


def version(arguments: Sequence[str]) -> int:
    print(f"emailengine {__version__}")
    return 0


def usage(arguments: Sequence[str]) -> int:
    from emailengine.commands.run import ForegroundOptions

    print(USAGE)
    print(ForegroundOptions().getUsage().split("\n", 1)[1])  # type: ignore[no-untyped-call]  # Twisted's
    return 0


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "run": run,
    "tokens": tokens,
    "license": licence,
    "version": version,
    "help": usage,
}

USAGE = """Usage: emailengine [command] [options]

Commands:
  run      run the daemon in the foreground; also without a command
  tokens   make, list and delete access tokens; see "emailengine tokens --help"
  license  version and licence of this software and of what it uses
  version  print the version
  help     print this
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the result is the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in ("--help", "-h"):
        return usage(given[1:])
    if given and given[0] == "-v":
        return version(given[1:])
    if not given or given[0].startswith("-"):
        return run(given)
    command = COMMANDS.get(given[0])
    if command is None:
        close = difflib.get_close_matches(given[0], COMMANDS, n=1)
        _refuse(f"unknown command {given[0]!r}" + (f" (did you mean {close[0]}?)" if close else "; see --help"))
        return 1
    try:
        return command(given[1:])
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1


if __name__ == "__main__":
    sys.exit(main())
