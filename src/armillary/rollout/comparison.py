# SPDX-License-Identifier: Apache-2.0
"""Is a release worse than the one before it? A sequential test that may be looked at after every device.

A *signal* is a way to fail: updates taken back, silence, crashes. Each device that has tried the release is one trial
of a signal. Let p0 be the rate at which devices fail with the release before. The evidence that the new one fails more
often is the average, over a few higher rates p1, of the likelihood ratio

    (p1 / p0)^failures * ((1 - p1) / (1 - p0))^(trials - failures)

*False holds.* While devices fail at a rate of at most p0, each ratio is a supermartingale that begins at 1, and so is
their average; by Ville's inequality the probability that it **ever** reaches 1 / a is at most a, however often one
looks. Each signal gets an equal part of the policy's ``false_hold_percent``, so all of them together hold a release
that is as good as the one before with at most that probability. A device that counts as well now and fails later only
makes the evidence rise later, which keeps the bound.

*Crashes.* Where the planner can count the crashes of both releases at the same time (:class:`CrashRates`), a test of
rates stands in the place of the signal ``crashed``, with its part of ``false_hold_percent``: devices that crashed,
whenever that was, say nothing about how often.

*Delay.* With a rate p1 the logarithm of the evidence grows by the Kullback-Leibler divergence of p1 from p0 a device:
a release that always fails is held after three devices, one that fails on 10 % where 1 % did after about fifty.

Sources: A. Wald, Sequential Analysis (1947); J. Ville, Étude critique de la notion de collectif (1939).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from armillary.rollout.policy import RolloutPolicy

# Rates looked for, as shares of the way from p0 to 1: from "a little worse" to "always".
ALTERNATIVES: Final = (0.02, 0.05, 0.1, 0.25, 0.5, 0.9)
# No rate is known to be lower: with a baseline of 0 the first failure of a million devices would hold a release.
LOWEST_RATE: Final = 0.01
# Devices of the release before that make a rate; with fewer the policy's ``failure_percent`` stands for it.
ENOUGH_DEVICES: Final = 30
SIGNALS: Final = ("reverted", "silent", "crashed")


@dataclass(frozen=True, slots=True)
class Signal:
    """One way to fail, with the release and with the one before.

    Attributes:
        name: One of :data:`SIGNALS`.
        failures: Devices that failed in this way, of ``trials`` that have tried the release.
        failures_before: The same of the release before.
    """

    name: str
    failures: int
    trials: int
    failures_before: int
    trials_before: int


@dataclass(frozen=True, slots=True)
class CrashRates:
    """What the test of crash rates says (``armillary.detect.sequential``), and on what it rests.

    Attributes:
        log_evidence: The natural logarithm of the evidence that devices crash more often than with the release before.
        crashed: Devices with the release that crashed since the roll-out runs, of ``crashed + whole``.
        crashed_before: The same of the devices that still have the release before.
    """

    log_evidence: float
    crashed: int
    whole: int
    crashed_before: int
    whole_before: int


def baseline(signal: Signal, policy: RolloutPolicy) -> float:
    """The rate p0 of the release before: Laplace's estimate, which is never 0."""
    if signal.trials_before < ENOUGH_DEVICES:
        return max(LOWEST_RATE, policy.failure_percent / 100)
    return max(LOWEST_RATE, min(1.0, (signal.failures_before + 1) / (signal.trials_before + 2)))


def log_evidence(rate: float, failures: int, trials: int) -> float:
    """The natural logarithm of the evidence that devices fail more often than at ``rate``; 0 without any device."""
    if rate >= 1:
        return 0.0  # nothing is worse
    logs = []
    for share in ALTERNATIVES:
        worse = rate + (1 - rate) * share
        fails, works = math.log(worse / rate), math.log1p(-worse) - math.log1p(-rate)
        logs.append(failures * fails + (trials - failures) * works)
    most = max(logs)
    return most + math.log(sum(math.exp(one - most) for one in logs) / len(logs))


def limit(policy: RolloutPolicy) -> float:
    """The logarithm of the evidence from which on a signal holds a roll-out."""
    return math.log(len(SIGNALS) * 100 / policy.false_hold_percent)


def worse_than_before(policy: RolloutPolicy, signals: Sequence[Signal], rates: CrashRates | None = None) -> str:
    """In which way the release is worse than the one before, in words; "" while nothing shows that it is.

    With ``rates`` the signal ``crashed`` is passed over.
    """
    if not policy.false_hold_percent:
        return ""
    if rates is not None and rates.crashed >= policy.min_failures and rates.log_evidence >= limit(policy):
        return (
            f"crashes more often than before: {rates.crashed} of {rates.crashed + rates.whole} devices crashed; in the "
            f"same time {rates.crashed_before} of {rates.crashed_before + rates.whole_before} with the release before"
        )
    for signal in signals:
        if signal.failures < policy.min_failures or (rates is not None and signal.name == "crashed"):
            continue
        rate = baseline(signal, policy)
        if log_evidence(rate, signal.failures, max(signal.trials, signal.failures)) >= limit(policy):
            before = f"{signal.failures_before} of {signal.trials_before} with the release before"
            known = before if signal.trials_before >= ENOUGH_DEVICES else f"at most {rate:.0%} was expected"
            return f"worse than before: {signal.failures} of {signal.trials} devices {signal.name}; {known}"
    return ""
