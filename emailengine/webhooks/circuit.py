"""Targets that do not answer: who may try them, and how much may wait for them. Nothing here waits or talks.

Jobs stand in lanes, one for each account. A lane by itself tries its head again later and later; with many accounts
behind one target that adds up, so once several lanes in a row have failed only one head is tried per interval, and the
others are put off without an attempt being counted.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field, frozen

from emailengine.core.delays import Delays
from emailengine.core.flag import Flag

LANES = 3  # that fail one after the other, with no success between: then it is the target, not one message
FULL = 2000  # jobs that wait for one place; beyond that the small records of events wait instead of whole payloads

_INTERVALS = Delays(first=5.0, factor=2.0, cap=60.0, jitter=0.2)
_MARGIN = 0.05  # seconds after the interval before those put off come again
_SPREAD = 0.005  # seconds between them


@frozen
class Go:
    """Try it. `probe`: as the only one in this interval."""

    probe: bool = False


@frozen
class PutOff:
    """Not now, but in `delay` seconds."""

    delay: float


@define
class _Circuit:
    failing: set[str] = field(factory=set)
    opened: int = 0  # how many intervals in a row; 0: closed
    retry_at: float = 0.0
    probing: bool = False
    put_off: int = 0


@define
class Circuits:
    """The targets that fail, by URL. `seconds` is a clock for durations."""

    seconds: Callable[[], float]
    random: Callable[[], float]
    _by_url: dict[str, _Circuit] = field(factory=dict, init=False)

    def __len__(self) -> int:
        return len(self._by_url)

    @property
    def open(self) -> int:
        """How many targets are tried only once per interval."""
        return sum(one.opened > 0 for one in self._by_url.values())

    def permit(self, url: str) -> Go | PutOff:
        """Whether a target may be tried now. Whoever goes tells with `succeeded`, `failed` or `untried` how it was."""
        circuit = self._by_url.get(url)
        if circuit is None or not circuit.opened:
            return Go()
        now = self.seconds()
        if now >= circuit.retry_at and not circuit.probing:
            circuit.probing = True
            return Go(probe=True)
        circuit.put_off += 1
        return PutOff(max(0.0, circuit.retry_at - now) + _MARGIN + _SPREAD * circuit.put_off)

    def succeeded(self, url: str) -> None:
        self._by_url.pop(url, None)

    def failed(self, url: str, lane: str, go: Go) -> None:
        """An attempt failed that may be repeated."""
        circuit = self._by_url.get(url)
        if circuit is None:
            circuit = self._by_url[url] = _Circuit()
        if go.probe:
            self._open(circuit)
        elif not circuit.opened:
            circuit.failing.add(lane)
            if len(circuit.failing) >= LANES:
                self._open(circuit)

    def untried(self, url: str, go: Go) -> None:
        """The attempt did not come to an end that says anything."""
        circuit = self._by_url.get(url)
        if circuit is not None and go.probe:
            circuit.probing = False

    def _open(self, circuit: _Circuit) -> None:
        circuit.retry_at = self.seconds() + _INTERVALS.delay(circuit.opened, self.random)
        circuit.opened += 1
        circuit.probing = False
        circuit.put_off = 0
        circuit.failing.clear()


@define
class Backlog:
    """
    How many jobs wait for each place (their group), as far as this process has put and taken them.

    `at_work` are the lanes that have a job at work here: when that is finished the next one of the lane is claimed, so
    that nobody need be woken for it.
    """

    limit: int = FULL
    at_work: set[str] = field(factory=set, init=False)
    _waiting: dict[str, int] = field(factory=dict, init=False)
    _full: dict[str, Flag] = field(factory=dict, init=False)

    def put(self, place: str) -> None:
        count = self._waiting[place] = self._waiting.get(place, 0) + 1
        if count >= self.limit and place not in self._full:
            self._full[place] = Flag()

    def taken(self, place: str) -> None:
        """A job of that place is finished, one way or the other; it may be one of an earlier process."""
        count = self._waiting.get(place, 0) - 1
        if count > 0:
            self._waiting[place] = count
        else:
            self._waiting.pop(place, None)
        if count <= self.limit // 2:
            room = self._full.pop(place, None)
            if room is not None:
                room.raise_()

    def full(self, place: str) -> bool:
        return place in self._full

    async def room(self, place: str) -> None:
        """Return once no more than the limit wait there. It takes half of them to go before anybody is let in."""
        while (full := self._full.get(place)) is not None:
            await full.wait()
