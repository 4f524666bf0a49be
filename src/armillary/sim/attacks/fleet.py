# SPDX-License-Identifier: Apache-2.0
"""Counts of events by device and window: honest devices of several tempers, and attacks on some of them.

What makes honest devices hard: some crash daily, some are refused by their manifest again and again (time servers out
of a pool), a site loses its power or network with many devices at once, and half of the fleet gets firmware that
restarts more often.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from armillary.detect.baseline import METRICS

WINDOWS_A_DAY: Final = 288  # of five minutes
Counts = tuple[int, int, int, int]

# Kind -> metric that it raises, events a window, how many windows it lasts.
ATTACKS: Final[Mapping[str, tuple[int, float, int]]] = {
    "scan of the network": (1, 30.0, 12),
    "slow scan": (1, 2.0, 48),
    "tries of an exploit": (0, 3.0, 10),
    "tries of stolen credentials": (2, 8.0, 12),
    "loop of restarts": (3, 3.0, 12),
}
# Events a day of an honest device, by metric: most devices, and the share and rate of those that are worse.
_HONEST: Final = ((0.03, 0.03, 4.0), (0.1, 0.05, 20.0), (0.05, 0.02, 3.0), (0.3, 0.03, 3.0))


@dataclass(frozen=True, slots=True)
class Play:
    """What is played: ``days`` in all, of which the first ``learning`` have no attack and are not judged."""

    devices: int = 400
    days: int = 7
    learning: int = 2
    attacked: float = 0.05  # share of the devices
    seed: int = 1

    @property
    def windows(self) -> int:
        """How many windows there are."""
        return self.days * WINDOWS_A_DAY

    @property
    def judged_from(self) -> int:
        """The first window that is judged."""
        return self.learning * WINDOWS_A_DAY


@dataclass(frozen=True, slots=True)
class Attack:
    """An attack on a device, in the windows from ``first`` up to ``last``."""

    kind: str
    device: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Fleet:
    """Windows in order with what each device had; ``cohort`` is what a device runs in a window."""

    play: Play
    attacks: tuple[Attack, ...]
    events: Mapping[int, Mapping[int, Counts]]  # window -> device -> counts; devices without events are not named

    def cohort(self, device: int, window: int) -> str:
        """The firmware of a device: half of the devices get another in the middle of the time."""
        return "new" if device % 2 and window >= self.play.windows // 2 else "old"

    def sizes(self, window: int) -> Mapping[str, int]:
        """How many devices run each firmware."""
        if window < self.play.windows // 2:
            return {"old": self.play.devices}
        return {"old": (self.play.devices + 1) // 2, "new": self.play.devices // 2}


def fleet(play: Play) -> Fleet:
    """Everything that happens, from a seed."""
    random = Random(play.seed)  # noqa: S311 - reproducible, not secret
    events: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0] * len(METRICS)))
    for device in range(play.devices):
        for window, metric in _honest(random, play, device):
            events[window][device][metric] += 1
    for _ in range(play.days):  # a site of a tenth of the devices loses its power, or its network
        window, metric = random.randrange(play.windows), random.choice((2, 3))
        for device in random.sample(range(play.devices), play.devices // 10):
            events[window][device][metric] += 1
    attacks = tuple(_attacks(random, play))
    for attack in attacks:
        metric, rate, _ = ATTACKS[attack.kind]
        for window in range(attack.first, attack.last):
            events[window][attack.device][metric] += _poisson(random, rate)
    frozen = {window: {one: _counts(counts) for one, counts in found.items()} for window, found in events.items()}
    return Fleet(play, attacks, frozen)


def _honest(random: Random, play: Play, device: int) -> Iterator[tuple[int, int]]:
    for metric, (usual, share, worse) in enumerate(_HONEST):
        a_day = (worse if random.random() < share else usual) * random.gammavariate(2.0, 0.5)
        at = 0.0
        while a_day and (at := at + random.expovariate(a_day) * WINDOWS_A_DAY) < play.windows:
            window = int(at)
            yield window, metric
            if metric == 1 and random.random() < 0.3:  # a name has several addresses, and each is tried
                yield from ((window, metric) for _ in range(random.randint(1, 3)))
            if metric == 3 and device % 2 and window >= play.windows // 2:
                yield window, metric  # the new firmware restarts twice


def _attacks(random: Random, play: Play) -> Iterator[Attack]:
    kinds = list(ATTACKS)
    for number, device in enumerate(random.sample(range(play.devices), max(1, int(play.devices * play.attacked)))):
        kind = kinds[number % len(kinds)]
        lasts = ATTACKS[kind][2]
        first = random.randrange(play.judged_from, play.windows - lasts)
        yield Attack(kind, device, first, first + lasts)


def _poisson(random: Random, mean: float) -> int:
    """D. Knuth, The Art of Computer Programming 2, §3.4.1, algorithm Q."""
    limit, count, product = math.exp(-mean), 0, random.random()
    while product > limit:
        count, product = count + 1, product * random.random()
    return count


def _counts(found: list[int]) -> Counts:
    crashes, blocked, refusals, restarts = found
    return crashes, blocked, refusals, restarts
