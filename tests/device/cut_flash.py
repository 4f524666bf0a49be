# SPDX-License-Identifier: Apache-2.0
"""Flash in memory that loses power in the middle of any operation."""

from __future__ import annotations

import random

from armillary.engines.flash.port import NothingRunsFrom


class PowerCutError(BaseException):
    """The power went. Not an Exception: nothing in the device may catch it."""


class CutFlash(NothingRunsFrom):
    """Holds what is durable apart from what was only written; cuts power at operation number ``cut_at``.

    A cut during ``write`` leaves a torn region, during ``sync`` the old, new or a torn one, during ``rename``
    and ``remove`` the state before or after. At the cut, every region that was written and not synced ends as
    old, new or torn, chosen by ``seed``. ``rename`` of an unsynced source is a defect and fails the test.
    """

    def __init__(self, durable: dict[str, bytes] | None = None, *, cut_at: int | None = None, seed: int = 0) -> None:
        self.durable = dict(durable or {})
        self.pending: dict[str, bytes] = {}
        self.cut_at = cut_at
        self.operations = 0
        self.dead = False
        self._random = random.Random(seed)  # noqa: S311 - a reproducible choice of damage

    def read(self, region: str) -> bytes | None:
        self._step()
        return self.pending.get(region, self.durable.get(region))

    def write(self, region: str, data: bytes) -> None:
        cut = self._step(cuts=False)
        self.pending[region] = data
        if cut:
            self._cut()

    def sync(self, region: str) -> None:
        cut = self._step(cuts=False)
        if cut and self._random.random() < 0.5:
            self._cut()
        if region in self.pending:
            self.durable[region] = self.pending.pop(region)
        if cut:
            self._cut()

    def rename(self, source: str, target: str) -> None:
        cut = self._step(cuts=False)
        assert source not in self.pending, f"{source} renamed before it was synced"
        if cut and self._random.random() < 0.5:
            self._cut()
        self.durable[target] = self.durable.pop(source)
        self.pending.pop(target, None)
        if cut:
            self._cut()

    def remove(self, region: str) -> None:
        cut = self._step(cuts=False)
        if cut and self._random.random() < 0.5:
            self._cut()
        self.durable.pop(region, None)
        self.pending.pop(region, None)
        if cut:
            self._cut()

    def room(self, region: str) -> int | None:
        del region  # any may have what there is of memory
        return None

    def regions(self, prefix: str) -> tuple[str, ...]:
        self._step()
        return tuple(sorted(name for name in {**self.durable, **self.pending} if name.startswith(prefix)))

    def _step(self, *, cuts: bool = True) -> bool:
        if self.dead:
            raise PowerCutError
        self.operations += 1
        cut = self.operations == self.cut_at
        if cut and cuts:
            self._cut()
        return cut

    def _cut(self) -> None:
        self.dead = True
        for region, data in self.pending.items():
            fate = self._random.randrange(4)
            if fate == 0:
                self.durable[region] = data
            elif fate == 1:
                self.durable[region] = data[: self._random.randrange(len(data) + 1)]
            elif fate == 2:
                keep = self._random.randrange(len(data) + 1)
                self.durable[region] = data[:keep] + self.durable.get(region, b"\xff" * len(data))[keep:]
        self.pending.clear()
        raise PowerCutError
