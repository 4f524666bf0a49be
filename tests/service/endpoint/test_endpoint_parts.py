# SPDX-License-Identifier: Apache-2.0
"""The small parts of the device endpoint: ranges, the status table, the refusal log, kept devices and peers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from armillary.engines.records.queries import devices as device_rows
from armillary.engines.records.queries.devices import BootDetails
from armillary.engines.records.store import Records
from armillary.errors import (
    AppraisalError,
    ArmillaryError,
    ChallengeError,
    DataFolderError,
    DeviceFault,
    NotFoundError,
    RateLimitedError,
    ReplayedProofError,
    RevokedDeviceError,
    SignatureError,
    UnclaimedDeviceError,
    UnknownDeviceError,
    WireError,
)
from armillary.service.context.refusals import MAX_PENDING, RefusalLog
from armillary.service.endpoint.problem import REASONS, RequestRefusedError, problem_of, status_of
from armillary.service.endpoint.ranges import parse_range
from armillary.service.verifier.device_states import MAX_SPENT, DeviceState, DeviceStates, SpentChallenges
from armillary.service.verifier.peers import Peer
from armillary.wire.device.problem import parse_problem

NOW = 1_800_000_000


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"bytes=0-", (0, 99)),
        (b"bytes=10-19", (10, 19)),
        (b"bytes=90-500", (90, 99)),
        (b"bytes=-10", (90, 99)),
        (b"bytes=-500", (0, 99)),
        (b"bytes=99-99", (99, 99)),
    ],
)
def test_ranges(header: bytes, expected: tuple[int, int]) -> None:
    assert parse_range(header, 100) == expected


@pytest.mark.parametrize(
    "header",
    [b"", b"bytes=", b"bytes=-", b"bytes=-0", b"bytes=100-", b"bytes=5-4", b"bytes=0-1,3-4", b"items=0-1", b"bytes=a-"],
)
def test_ranges_that_cannot_be_served(header: bytes) -> None:
    with pytest.raises(RequestRefusedError) as refused:
        parse_range(header, 100)
    assert refused.value.status == 416


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ChallengeError("x"), 401),
        (ReplayedProofError("x"), 401),
        (RateLimitedError("x", retry_after_s=3), 429),
        (AppraisalError("x"), 403),
        (RevokedDeviceError("x"), 403),
        (UnclaimedDeviceError("x"), 403),
        (DeviceFault("x"), 403),
        (SignatureError("x", expected="a", got="b"), 403),
        (WireError("x", expected="a", got="b"), 400),
        (NotFoundError("x"), 404),
        (DataFolderError("x"), 503),
        (ArmillaryError("x"), 500),
        (RequestRefusedError(413, "x"), 413),
    ],
)
def test_one_table_from_error_to_status(error: ArmillaryError, status: int) -> None:
    assert status_of(error) == status
    assert status in REASONS
    got, body, retry = problem_of(error)
    problem = parse_problem(body)
    assert (got, problem.code) == (status, error.code)
    assert problem.retry_after_s == retry == (3 if status == 429 else None)


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    with contextlib.closing(Records.open(tmp_path / "records.db", fresh=True)) as opened:
        yield opened


def enrol(records: Records, digit: str) -> int:
    return records.write(
        lambda c: device_rows.enrol(
            c,
            device_id=digit * 128,
            chip="mt3620",
            chip_sku="MT3620AN",
            trust_tier="software",
            manufacturing_state="DeviceComplete",
            now=NOW,
        )
    )


def test_refusals_fold_are_bounded_and_leave_try_later_out(records: Records) -> None:
    enrol(records, "a")
    log = RefusalLog()
    assert log.take() is None
    log.note("a" * 128, RateLimitedError("x", retry_after_s=1), NOW)
    assert log.take() is None
    for _ in range(3):
        log.note("a" * 128, RevokedDeviceError("gone"), NOW)
    log.note("a" * 128, ReplayedProofError("again"), NOW)
    for number in range(MAX_PENDING):
        log.note(f"{number:0128x}", UnknownDeviceError("who"), NOW)
    assert log.dropped == 2
    taken = log.take()
    assert taken is not None
    assert taken.count == 3 + 1 + MAX_PENDING - 2
    records.write(taken.change)
    assert log.take() is None
    device = records.read(lambda c: device_rows.one(c, "a" * 128, now=NOW, silent_after_s=60))
    assert device is not None
    assert (device.health, device.last_refused_at) == ("refused", NOW)


def test_kept_devices_follow_the_records_and_are_bounded(records: Records) -> None:
    for digit in "abc":
        enrol(records, digit)
    states = DeviceStates(records, lambda: NOW, limit=2)
    with pytest.raises(UnclaimedDeviceError):
        states.admitted("a" * 128)
    with pytest.raises(UnknownDeviceError):
        states.admitted("f" * 128)
    state = states._states["a" * 128]
    state.spent.add(b"x", NOW + 60, NOW)
    records.write(lambda c: device_rows.change(c, "a" * 128, {"revoked_at": NOW}))
    states.mark_stale("a" * 128)
    with pytest.raises(RevokedDeviceError):
        states.admitted("a" * 128)
    assert states._states["a" * 128] is state
    assert b"x" in state.spent  # spent challenges outlive a reload
    state.busy = True
    for digit in "bc":
        with pytest.raises(UnclaimedDeviceError):
            states.admitted(digit * 128)
    assert "a" * 128 in states._states  # a device whose check-in is being recorded is not dropped


def test_spent_challenges_are_bounded_per_device() -> None:
    spent = SpentChallenges({})
    for number in range(MAX_SPENT):
        spent.check_rate(NOW)
        spent.add(number.to_bytes(4, "big"), NOW + 60, NOW)
    with pytest.raises(RateLimitedError):
        spent.check_rate(NOW)
    spent.check_rate(NOW + 60)
    assert len(spent) == 0


def test_a_device_that_could_not_be_read_is_read_again(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a failed reading leaves behind is no verdict: the device is not revoked, and what it spent is known."""
    enrol(records, "a")
    states = DeviceStates(records, lambda: NOW)

    def broken(*_: object, **__: object) -> None:
        raise OSError("the disk is away")

    for part in ("device", "spent_challenges"):
        with monkeypatch.context() as patch:
            patch.setattr(records.lookup, part, broken)
            with pytest.raises(OSError, match="away"):
                states.admitted("a" * 128)
        assert not states._states
    for _ in range(2):
        with pytest.raises(UnclaimedDeviceError):
            states.admitted("a" * 128)
        states.mark_stale("a" * 128)
        with monkeypatch.context() as patch:
            patch.setattr(records.lookup, "device", broken)
            with pytest.raises(OSError, match="away"):
                states.admitted("a" * 128)


def test_an_enrolment_is_made_again_when_the_boot_changes() -> None:
    state = DeviceState("a" * 128)
    state.chip, state.trust_tier = "mt3620", "software"
    first = state.enrolment
    assert state.enrolment is first
    state.booted(3, BootDetails("linux", "[]", b"e" * 32, '{"3":2}'))
    assert (state.enrolment.last_boot_count, state.enrolment.last_endorsement) == (3, b"e" * 32)
    assert state.enrolment.minimum_security_versions == {3: 2}


def test_a_peer_is_valid_between_its_dates() -> None:
    peer = Peer("a" * 128, b"", 10, 20)
    for now in (10, 15, 20):
        peer.check_valid(now)
    for now in (9, 21):
        with pytest.raises(DeviceFault):
            peer.check_valid(now)
