# SPDX-License-Identifier: Apache-2.0
"""How ``armillary release`` shows a release, and what it says of the first one of real packages; without a service."""

from __future__ import annotations

from typing import Any, cast

import pytest

from armillary.cli.release.release_view import note_first_real, row
from armillary.cli.terminal.remote import RemoteService

CHIP = "gateway-x86-64"
IN_2100 = 4_102_444_800
RELEASE: dict[str, Any] = {
    "release_id": "3e671687-395b-41f5-a30f-a58921a69b79",
    "chip": CHIP,
    "version": "28.1",
    "withdrawn_at": None,
    "signed_at": 1,
    "published_at": 2,
    "expires_at": None,
    "imported_from": None,
    "is_stand_in": False,
    "is_passed_over": False,
}
STAND_IN = {**RELEASE, "release_id": "1", "version": "26.11", "is_stand_in": True}
DRAFT, REAL, IMPORTED = (
    {**RELEASE, "release_id": "2", "published_at": None},
    {**RELEASE, "release_id": "3"},
    {**RELEASE, "release_id": "4", "imported_from": "corim"},
)


def of_before(release: dict[str, Any]) -> dict[str, Any]:
    """A release of a service that says nothing of stand-ins and floors."""
    return {name: value for name, value in release.items() if name not in ("is_stand_in", "is_passed_over")}


class Listed:
    """A service that lists these releases of a chip."""

    def __init__(self, *releases: dict[str, Any]) -> None:
        self.releases = releases

    def pages(self, path: str, **query: Any) -> list[dict[str, Any]]:
        assert (path, query) == ("/releases", {"chip": CHIP})
        return list(self.releases)


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({}, "good"),
        ({"is_stand_in": True}, "good"),
        ({"is_passed_over": True}, "stand-in, given to nobody"),
        ({"is_passed_over": True, "expires_at": IN_2100}, "stand-in, given to nobody"),
        ({"is_passed_over": True, "expires_at": 5}, "expired 1970-01-01T00:00:05Z"),  # as the console says it
        ({"expires_at": 5}, "expired 1970-01-01T00:00:05Z"),
        ({"expires_at": IN_2100}, "good until 2100-01-01T00:00:00Z"),
        ({"is_below_floor": True}, "below the security floor"),
        ({"is_below_floor": True, "imported_from": "corim"}, "below the security floor; imported"),
        ({"is_below_floor": False}, "good"),
        ({"is_below_floor": True, "published_at": None}, "draft, signed"),
        ({"published_at": None}, "draft, signed"),
    ],
)
def test_what_is_given_to_nobody_is_not_called_good(change: dict[str, Any], state: str) -> None:
    assert row({**RELEASE, **change})["state"] == state
    assert row(of_before(RELEASE))["state"] == "good"


@pytest.mark.parametrize(
    ("made", "listed", "begins"),
    [
        pytest.param(RELEASE, (RELEASE, STAND_IN), "From now on the stand-ins of gateway", id="published"),
        pytest.param(DRAFT, (DRAFT, STAND_IN), "Once it is published the stand-ins of gateway", id="a draft"),
        pytest.param(RELEASE, (RELEASE, STAND_IN, DRAFT, IMPORTED), "From now on", id="what is none of them"),
        pytest.param(RELEASE, (RELEASE, STAND_IN, REAL), "", id="not the first"),
        pytest.param(RELEASE, (RELEASE,), "", id="no stand-ins"),
        pytest.param({**RELEASE, "is_stand_in": True}, (STAND_IN,), "", id="a stand-in itself"),
        pytest.param(of_before(RELEASE), (of_before(RELEASE), of_before(STAND_IN)), "", id="a service of before"),
    ],
)
def test_who_makes_the_first_release_of_real_packages_is_told_what_it_ends(
    made: dict[str, Any], listed: tuple[dict[str, Any], ...], begins: str, capsys: pytest.CaptureFixture[str]
) -> None:
    note_first_real(cast("RemoteService", Listed(*listed)), made)
    said = " ".join(capsys.readouterr().err.split())
    assert said.startswith(begins) if begins else said == ""
    assert not begins or "a feed that does not get 28.1 gives nothing until" in said
