# SPDX-License-Identifier: Apache-2.0
"""Records that are locked or full during an issue: a clear error, a line in the log, and no certificate leaves.

The audit log is in the same records: what cannot be written there is said in the process's log.
"""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture
from tests.engines.records.test_full_disk import no_room
from tests.fixtures.waiting import wait_until

from armillary.engines.records.schema import dialect
from armillary.errors import AppraisalError, DataFolderError
from armillary.service.endpoint.check_ins import CheckIns
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice, certificate_request
from armillary.wire.certificates.certificate import parse_device_certificate
from armillary.wire.device.checkin import parse_reply
from armillary.wire.device.problem import parse_problem

LOG_WITHIN_S = 10.0
WORDS = "check-ins could not be recorded: these devices got no certificate"


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Somebody else holds the write lock, e.g. a backup tool that was stopped."""
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")


@contextmanager
def full(_: Path) -> Iterator[None]:
    with no_room():
        yield


TROUBLES = pytest.mark.parametrize(("trouble", "words"), [(locked, "locked"), (full, "cannot be written")])


@pytest.fixture
def log() -> Iterator[LogCapture]:
    """The log, kept in memory: a full disk takes no lines."""
    capture = LogCapture()
    before = structlog.get_config()
    structlog.configure(processors=[capture], cache_logger_on_first_use=False)
    yield capture
    structlog.configure(**before)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: LogCapture) -> Iterator[ServiceHost]:
    monkeypatch.setattr(dialect, "BUSY_TIMEOUT_MS", 200)
    with ServiceHost(tmp_path / "data", planner_interval_s=3600.0) as running:
        running.catalog()
        yield running


def recorded(host: ServiceHost) -> set[str]:
    """Serial numbers of every certificate on record."""
    return host.service.context.records.read(
        lambda c: {
            row[0]
            for query in ("SELECT certificate_serial FROM check_in", "SELECT serial FROM certificate")
            for row in c.exec_driver_sql(query)
        }
    )


def ask(device: WireDevice) -> tuple[int, bytes]:
    device.challenge = device.challenge or device.fetch_challenge()
    answer = device.exchange("POST", "/v1/check-in", device.request_body(device.challenge))
    device.challenge = b""
    return answer.status, answer.body


@TROUBLES
def test_a_check_in_that_cannot_be_recorded_gets_an_error_and_no_certificate(
    host: ServiceHost, log: LogCapture, trouble: Callable[[Path], Any], words: str
) -> None:
    with host.claimed(b"a" * 32) as device:
        device.check_in()
        before = recorded(host)
        with trouble(host.service.context.folder.database):
            status, body = ask(device)
            lines = wait_until(
                lambda: [one for one in log.entries if one["event"] == WORDS], "a line in the log", LOG_WITHIN_S
            )
        problem = parse_problem(body)
        assert (status, problem.code) == (503, "host.data-folder")
        assert words in problem.message
        assert problem.remedy
        assert (lines[0]["log_level"], lines[0]["count"], lines[0]["code"]) == ("error", 1, "host.data-folder")
        assert recorded(host) == before
        reply = device.check_in()  # with the trouble over, at once
    assert host.service.hub_access.authenticate(reply.certificate_chain[0]) == device.device_id
    assert len(recorded(host) - before) == 1
    assert host.service.audit.verify().broken_at is None


@TROUBLES
def test_control_a_reply_that_does_not_wait_hands_out_a_certificate_nobody_knows(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch, trouble: Callable[[Path], Any], words: str
) -> None:
    """The wait for the record taken away: the same check-in gets its certificate, and only the hub stops that one."""

    def hasty(check_ins: CheckIns, items: list[Any], _: list[Any]) -> None:
        for item in items:
            connection, accepted = check_ins._waiting.pop(id(item))
            connection.reply_ok(accepted.reply)

    with host.claimed(b"a" * 32) as device:
        device.check_in()
        device.challenge = device.fetch_challenge()
        with trouble(host.service.context.folder.database), monkeypatch.context() as patch:
            endpoint = host.service.serving.server.endpoint
            assert endpoint is not None
            check_ins = endpoint._check_ins
            assert check_ins._sink is not None
            patch.setattr(check_ins._sink, "deliver", lambda items, outcomes: hasty(check_ins, items, outcomes))
            status, body = ask(device)
    assert status == 200
    leaf = parse_reply(body).certificate_chain[0]
    assert f"{parse_device_certificate(leaf).serial:034X}" not in recorded(host)
    with pytest.raises(AppraisalError, match="not on record"):
        host.service.hub_access.authenticate(leaf)


@TROUBLES
def test_an_enrolment_and_a_catalog_that_cannot_be_recorded_leave_nothing(
    host: ServiceHost, trouble: Callable[[Path], Any], words: str
) -> None:
    before = recorded(host)
    lines = host.service.audit.verify().lines
    with trouble(host.service.context.folder.database):
        with pytest.raises(DataFolderError):
            host.service.factory.enrol(certificate_request(b"z" * 32), "mt3620", "test")
        with pytest.raises(DataFolderError):
            host.catalog("Fabrikam")
    assert recorded(host) == before
    assert host.service.audit.verify().lines == lines
    assert [one.name for one in host.service.registry.catalogs.list()] == ["Contoso"]
    host.catalog("Fabrikam")
    assert host.service.factory.enrol(certificate_request(b"z" * 32), "mt3620", "test").certificate_chain


def test_the_limit_that_plays_a_full_disk_is_lifted_again() -> None:
    with no_room():
        pass
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1
