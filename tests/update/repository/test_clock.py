# SPDX-License-Identifier: Apache-2.0
"""When a device goes back to an earlier time, and what the client does with a correction on its way."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, strategies as st
from tests.fixtures.tuf_repository import DAY_S, NOW, Client, TufRepository, moment

from armillary.errors import ExpiredMetadataError
from armillary.update.repository.client import refresh
from armillary.update.repository.clock import corrected_time
from armillary.wire.update.clock_correction import MEMBER, ClockCorrection, correction_member

FALSE = ClockCorrection(at=NOW, first=NOW + 30 * DAY_S, last=NOW + 31 * DAY_S)


@pytest.mark.parametrize(
    ("last", "told", "corrected"),
    [
        (FALSE.first, NOW, True),
        (FALSE.last, FALSE.first - 1, True),
        (FALSE.first, NOW - 1, False),  # an answer from before root said so
        (FALSE.first - 1, NOW, False),
        (FALSE.last + 1, NOW, False),
        (FALSE.first, FALSE.first, False),
        (FALSE.first, FALSE.last, False),
    ],
)
def test_a_device_goes_back_from_a_false_time_to_one_that_is_later_than_roots(
    last: int, told: int, corrected: bool
) -> None:
    assert corrected_time(FALSE, last=last, told=told) == (told if corrected else None)


times = st.integers(0, 1000)


@given(at=times, first=times, last=times, believed=times, told=times)
def test_nobody_comes_to_a_time_that_root_has_not_seen_or_from_one_that_it_did_not_name(
    at: int, first: int, last: int, believed: int, told: int
) -> None:
    found = corrected_time(ClockCorrection(at=at, first=first, last=last), last=believed, told=told)
    assert (found is not None) == (first <= believed <= last and at <= told < believed)
    assert found in (None, told)


def corrected(repository: TufRepository, value: object) -> None:
    repository.root.unrecognized_fields[MEMBER] = value
    repository.publish("root")
    del repository.root.unrecognized_fields[MEMBER]


def test_a_correction_is_heard_once_before_its_root_is_kept_and_decides_what_has_expired() -> None:
    repository = TufRepository()
    repository.timestamp.expires = moment(NOW + DAY_S)
    repository.publish("timestamp")
    client, heard = Client(repository), []

    def hear(correction: ClockCorrection) -> int:
        heard.append((correction, client.versions()["root"]))
        return NOW

    def refreshed() -> None:
        asyncio.run(refresh(client.fetcher, client.store, now=FALSE.first, correct=hear))

    with pytest.raises(ExpiredMetadataError, match="timestamp"):
        refreshed()
    corrected(repository, correction_member(FALSE))
    repository.publish("root")
    refreshed()
    assert (heard, client.versions()["root"]) == ([(FALSE, 1)], 3)
    with pytest.raises(ExpiredMetadataError, match="timestamp"):
        refreshed()
    assert len(heard) == 1, "a root is followed once"


def test_a_root_that_says_it_wrongly_is_followed_all_the_same() -> None:
    repository = TufRepository()
    client = Client(repository)
    for value in ({}, {"at": 3, "first": 2, "last": 1}, "yesterday"):
        corrected(repository, value)
    asyncio.run(refresh(client.fetcher, client.store, now=NOW, correct=lambda _: 0))
    assert client.versions()["root"] == 4
