# SPDX-License-Identifier: Apache-2.0
"""A device answers one request once, tells a new owner nothing of the one before, and asks nobody for anything."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from armillary.device.state.journal import Journal, read_journal
from armillary.device.state.log_answers import LogAnswers
from armillary.errors import (
    ArmillaryError,
    DeviceFault,
    RateLimitedError,
    ServiceUnreachableError,
)
from armillary.wire.device.device_log import DeviceLog, parse_log

pytestmark = pytest.mark.anyio

OWNER, OTHER = UUID(int=1), UUID(int=2)
FIRST, SECOND = UUID(int=10), UUID(int=11)


class Service:
    """Takes logs, or refuses them."""

    def __init__(self) -> None:
        self.error: ArmillaryError | None = None
        self.taken: list[DeviceLog] = []

    async def send_log(self, data: bytes) -> UUID:
        if self.error is not None:
            raise self.error
        self.taken.append(parse_log(data))
        return self.taken[-1].request_id


def device(folder: Path) -> tuple[LogAnswers, Journal]:
    journal = Journal(folder, lambda: 1_790_000_000)
    return LogAnswers(journal, lambda: 1_790_000_000), journal


async def test_a_request_is_answered_once(tmp_path: Path) -> None:
    answers, journal = device(tmp_path)
    service = Service()
    journal.write("output", text="hello")
    for _ in range(3):
        answers.hear(FIRST, OWNER)
        await answers.send(service)
    answers.hear(None, OWNER)
    await answers.send(service)
    answers.hear(SECOND, OWNER)
    await answers.send(service)
    assert [log.request_id for log in service.taken] == [FIRST, SECOND]
    assert service.taken[0].lines[0].endswith("text=hello")
    assert "log-asked" in service.taken[0].lines[-1]


@pytest.mark.parametrize("error", [RateLimitedError("busy", retry_after_s=1), ServiceUnreachableError("gone")])
async def test_what_cannot_be_sent_now_is_sent_when_the_service_asks_again(
    tmp_path: Path, error: ArmillaryError
) -> None:
    answers, _ = device(tmp_path)
    service = Service()
    service.error = error
    answers.hear(FIRST, OWNER)
    await answers.send(service)
    service.error = None
    await answers.send(service)
    assert service.taken == []
    answers.hear(FIRST, OWNER)
    await answers.send(service)
    assert len(service.taken) == 1


async def test_what_the_service_refuses_is_not_sent_again(tmp_path: Path) -> None:
    answers, _ = device(tmp_path)
    service = Service()
    service.error = DeviceFault("not asked", code="request.not-found")
    answers.hear(FIRST, OWNER)
    await answers.send(service)
    service.error = None
    answers.hear(FIRST, OWNER)
    await answers.send(service)
    assert service.taken == []
    assert [each["event"] for each in read_journal(tmp_path)] == ["log-asked", "log-refused"]


async def test_a_new_owner_reads_nothing_of_the_one_before(tmp_path: Path) -> None:
    answers, journal = device(tmp_path)
    service = Service()
    journal.write("output", text="before anybody owned it")
    answers.hear(None, OWNER)
    journal.write("output", text="of the first owner")
    again, journal = device(tmp_path)  # a restart: what it knows of its owner is on disk
    again.hear(None, OWNER)
    again.hear(FIRST, OTHER)
    journal.write("output", text="of the second owner")
    await again.send(service)
    (log,) = service.taken
    assert [line.rpartition("text=")[2] for line in log.lines[:-1]] == ["of the second owner"]
    assert "first owner" not in "".join(log.lines)
    assert "before anybody" not in "".join(log.lines)


async def test_mutation_without_the_owner_the_new_one_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Journal, "belongs_to", lambda *_: True)
    answers, journal = device(tmp_path)
    service = Service()
    answers.hear(None, OWNER)
    journal.write("output", text="of the first owner")
    answers.hear(FIRST, OTHER)
    await answers.send(service)
    assert "of the first owner" in "".join(service.taken[0].lines)


async def test_a_device_that_cannot_forget_the_former_owner_answers_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, journal = device(tmp_path)
    answers.hear(None, OWNER)
    journal.write("output", text="of the first owner")

    def refused(*_: object, **__: object) -> None:
        raise OSError

    monkeypatch.setattr(Path, "unlink", refused)
    service = Service()
    answers.hear(FIRST, OTHER)
    await answers.send(service)
    assert service.taken == []


async def test_a_device_without_a_disk_has_an_empty_log() -> None:
    service = Service()
    answers = LogAnswers(Journal(None, lambda: 0), lambda: 0)
    answers.hear(FIRST, OWNER)
    await answers.send(service)
    assert service.taken[0].lines == ()
