# SPDX-License-Identifier: Apache-2.0
"""The wait for hints: when it begins, what a hint does, and how often a service is asked that errs or hints for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from armillary.device.checkin import hints
from armillary.device.checkin.hints import HintWatch
from armillary.device.state.journal import Journal
from armillary.errors import ArmillaryError, DeviceFault, RateLimitedError, ServiceUnreachableError


class Service:
    """Answers from a list, then never; notes how long the watch waits in between."""

    def __init__(self, *answers: bool | ArmillaryError) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.check_ins = 0
        self.waits: list[float] = []
        self.idle = asyncio.Event()

    async def hint(self) -> bool:
        self.asked += 1
        if not self.answers:
            self.idle.set()
            await asyncio.Event().wait()
        answer = self.answers.pop(0)
        if isinstance(answer, ArmillaryError):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


def play(tmp_path: Path, story: Callable[[Service, HintWatch], Coroutine[Any, Any, None]], *answers: Any) -> Service:
    async def run() -> Service:
        service = Service(*answers)

        def check_in_now() -> None:
            service.check_ins += 1

        watch = HintWatch(service.hint, check_in_now, Journal(tmp_path, lambda: 0), sleep=service.sleep)
        async with asyncio.timeout(10), watch:
            await story(service, watch)
        return service

    return asyncio.run(run())


async def answered_once(service: Service, watch: HintWatch) -> None:
    watch.check_in_answered()
    await service.idle.wait()


def test_nothing_is_asked_before_a_check_in_was_answered(tmp_path: Path) -> None:
    async def story(service: Service, watch: HintWatch) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        assert service.asked == 0
        await answered_once(service, watch)

    assert play(tmp_path, story).asked == 1


def test_a_hint_brings_a_check_in_and_the_next_wait_comes_after_its_answer(tmp_path: Path) -> None:
    async def story(service: Service, watch: HintWatch) -> None:
        watch.check_in_answered()
        for _ in range(20):
            await asyncio.sleep(0)
        assert (service.asked, service.check_ins) == (1, 1)
        watch.check_in_answered()
        await service.idle.wait()

    assert play(tmp_path, story, True).asked == 2


def test_no_hint_is_waited_for_again_after_a_while(tmp_path: Path) -> None:
    service = play(tmp_path, answered_once, False, False)
    assert (service.asked, service.check_ins, service.waits) == (3, 0, [hints.AGAIN_S] * 2)


@pytest.mark.parametrize(
    ("error", "least", "most"),
    [
        (ServiceUnreachableError("gone"), 0.0, hints.AGAIN_S),
        (DeviceFault("no such address"), hints.REFUSED_S, hints.REFUSED_S),
        (RateLimitedError("full", retry_after_s=1800), 1800, 1800),
    ],
)
def test_after_an_error_the_service_is_left_alone(
    tmp_path: Path, error: ArmillaryError, least: float, most: float
) -> None:
    service = play(tmp_path, answered_once, error)
    assert service.asked == 2
    assert least <= service.waits[0] <= most


def test_errors_in_a_row_make_the_waits_longer_up_to_a_limit(tmp_path: Path) -> None:
    service = play(tmp_path, answered_once, *[ServiceUnreachableError("gone") for _ in range(40)])
    assert max(service.waits) <= hints.RETRY_LIMIT_S
    assert max(service.waits) > 10 * hints.AGAIN_S
