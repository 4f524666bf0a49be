# SPDX-License-Identifier: Apache-2.0
"""Do devices crash more often with a release than with the one before? Both are counted at the same time.

A roll-out chooses its devices by chance (``rollout/cohort.py``), so that those that have the new release and those
that still have the old one are alike in everything else: in temper, in load, in the hour of the day. Of each device the
first :data:`COUNTED` crashes since the roll-out runs count. When a device crashes, look at those that had crashed as
often as it had: n of them have the new release, b the old one. If the release makes no difference, each of them is
equally likely to be the one, and it has the new release with probability n / (n + b). If devices with the new release
crash r times as often, that is r n / (r n + b). The evidence for a ratio r is the product, over all such crashes, of

    r (n + b) / (r n + b)   where the device has the new release,
      (n + b) / (r n + b)   where it has the old one,

and the evidence as a whole is the average over :data:`RATIOS`.

*False holds.* While the new release crashes no more often than the old one, the expected value of each factor is at
most 1, whatever happened before; so is that of the average, and by Ville's inequality the probability that it **ever**
reaches 1 / a is at most a, however often one looks. This needs neither a known rate nor one that stays: both releases
have the same hours. Nor need devices be alike: one that always crashes counts twice and no more. It does need that
devices crash independently of each other given the hour.

*One device.* With :data:`COUNTED` crashes a device adds at most twice the logarithm of the highest ratio, less that of
their number: alone it stays below the bound of one false hold in 174.

*Delay.* Where few have the new release, a crash there adds about ln r to the logarithm, and r - 1 goes off while the
old release has one crash on as many devices. At five times the rate about ten crashes are enough for one false hold in
300.

Sources: A. Wald, Sequential Analysis (1947); N. Mantel, Evaluation of survival data (1966); R. Prentice, B. Williams,
A. Peterson, On the regression analysis of multivariate failure time data (1981); J. ter Schure, M. Perez-Ortiz, A. Ly,
P. Gruenwald, The safe logrank test (2020).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

# Crashes of a device that count: the second is needed where few devices have most of the crashes.
COUNTED: Final = 2
# How many times as often devices may crash: what is looked for. Less than half as often again is not.
RATIOS: Final = (1.5, 2.0, 3.0, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class AtRisk:
    """Devices that have crashed equally often: those with the new release, and those with the one before."""

    new: int
    before: int


@dataclass(frozen=True, slots=True)
class CrashEvidence:
    """What is known so far.

    Attributes:
        logs: Natural logarithms of the evidence, by ratio.
        new: Devices that crashed with the new release, for the first time.
        before: The same with the release before.
    """

    logs: tuple[float, ...] = (0.0,) * len(RATIOS)
    new: int = 0
    before: int = 0

    def after(self, at_risk: AtRisk, *, is_new: bool, is_first: bool) -> CrashEvidence:
        """The evidence after a crash; ``is_first``: of its device.

        ``at_risk`` counts that device as well: fewer than one with its release cannot be, and are taken as one.
        """
        new, before = max(at_risk.new, int(is_new)), max(at_risk.before, int(not is_new))
        logs = (log + factor(ratio, new, before, is_new=is_new) for log, ratio in zip(self.logs, RATIOS, strict=True))
        return CrashEvidence(tuple(logs), self.new + (is_first and is_new), self.before + (is_first and not is_new))

    @property
    def log(self) -> float:
        """The logarithm of the evidence that the new release crashes more often; 0 before the first crash."""
        most = max(self.logs)
        return most + math.log(sum(math.exp(one - most) for one in self.logs) / len(RATIOS))


def factor(ratio: float, new: int, before: int, *, is_new: bool) -> float:
    """The logarithm of what one crash adds to the evidence for a ratio."""
    return math.log((ratio if is_new else 1.0) * (new + before) / (ratio * new + before))
