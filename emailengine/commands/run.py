"""`emailengine run`: the daemon in the foreground; what twistd does, without its forks and files."""

from __future__ import annotations

from collections.abc import Sequence

from emailengine.tap import Options, run_in_foreground


class ForegroundOptions(Options):
    """The daemon's options, as the command shows them."""

    synopsis = "Usage: emailengine [run] [options]"


def run(arguments: Sequence[str]) -> int:
    """Run until a signal comes; the exit status."""
    options = ForegroundOptions()  # type: ignore[no-untyped-call]  # Twisted's has no annotations
    options.parseOptions(list(arguments))
    return run_in_foreground(options.config)
