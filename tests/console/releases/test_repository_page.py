# SPDX-License-Identifier: Apache-2.0
"""The page of the repository's keys: what ends, what waits, and which keys should not be with the service."""

from __future__ import annotations

from typing import Any

import pytest
from tests.console.hub_scene import HubScene
from tests.service.repository.ceremonies import new_key, pem

from armillary.console.frame.states import ATTENTION, BAD, GOOD
from armillary.console.releases.pages_repository import custody_state, ends_state, repository_sheet
from armillary.service.repository.ceremony import KeyChange

NOW = 1_790_000_000
DAY_S = 86_400


def role(name: str, **change: Any) -> dict[str, Any]:
    found = {
        "role": name, "version": 3, "expires_at": NOW + 1000 * DAY_S, "threshold": 2, "custody": "offline",
        "targets": 0, "keys": [{"key_id": f"{number}" * 64, "online": False, "public_key": ""} for number in "123"],
    }  # fmt: skip
    return found | change


def said(*roles: dict[str, Any], **change: Any) -> str:
    found = {"roles": list(roles), "waiting": [], "trust_stores": [], "fault": "", **change}
    made = repository_sheet(found, {"77": "northwind"}, NOW)
    cells = [cell for section in made.sections for row in section.rows for cell in row]
    words = [text for _, text in made.notices]
    words += [word for cell in cells for word in (cell.text, cell.reason, cell.state.word if cell.state else "")]
    return "\n".join([made.title, *words])


@pytest.mark.parametrize(
    ("name", "custody", "kind"),
    [
        ("root", "online", ATTENTION),
        ("targets", "mixed", ATTENTION),
        ("root", "offline", GOOD),
        ("timestamp", "online", GOOD),
    ],
)
def test_keys_of_root_and_targets_that_the_service_holds_are_a_warning(name: str, custody: str, kind: str) -> None:
    assert custody_state(name, custody).kind == kind
    assert ("This service holds keys of" in said(role(name, custody=custody))) == (kind == ATTENTION)


def test_a_trust_store_that_waits_is_said() -> None:
    waits = "A trust store waits for the signature of os."
    assert waits in said(role("os"), trust_stores=[{"kind": "keys", "number": 1}])
    assert waits not in said(role("os"))


@pytest.mark.parametrize(
    ("name", "left_s", "kind"),
    [
        ("timestamp", 1.6 * DAY_S, GOOD),
        ("timestamp", 0.7 * DAY_S, ATTENTION),
        ("root", 400 * DAY_S, GOOD),
        ("root", 100 * DAY_S, ATTENTION),
        ("root", 0, BAD),
    ],
)
def test_metadata_whose_renewal_is_late_are_named(name: str, left_s: float, kind: str) -> None:
    one = role(name, expires_at=NOW + int(left_s))
    assert ends_state(one, NOW) == kind
    assert ("end soon" in said(one)) == (kind != GOOD)
    assert ends_state(role("director", expires_at=None), NOW) == GOOD


def test_a_catalog_is_named_wherever_its_role_is_spoken_of() -> None:
    waits = {
        "version": 4,
        "expires_at": NOW,
        "missing": 1,
        "signed_by": [],
        "lacks": [{"missing": 1, "key_ids": ["a" * 64]}],
    }
    words = said(role("catalog-77", expires_at=NOW), waiting=[{"role": "catalog-77", **waits}])
    assert "Metadata of catalog northwind end soon" in words
    assert "catalog-77" not in words


def test_what_waits_and_what_went_wrong_come_first() -> None:
    lacks = [{"missing": 1, "key_ids": ["a" * 64, "b" * 64]}, {"missing": 1, "key_ids": ["c" * 64]}]
    waits = {"role": "root", "version": 4, "expires_at": NOW, "missing": 2, "signed_by": [], "lacks": lacks}
    words = said(role("root"), role("catalog-77"), role("catalog-78"), waiting=[waits], fault="the disk is full")
    assert words.startswith("2 signatures are missing")
    for part in (
        "The last publication failed: The disk is full.",
        "nobody",
        "2 of 3",
        "1 of aaaaaaaa",
        " or bbbbbbbb",
        "catalog northwind",
    ):
        assert part in words
    assert "catalog that was deleted since" in words


def test_the_page_of_a_new_service_says_that_all_keys_are_online(hub_scene: HubScene) -> None:
    page = hub_scene.browser("Reader").get("/repository").text
    assert "are online." in page
    assert "armillary release keys init DIR" in page
    assert "1 of 1" in page
    for name in ("root", "targets", "snapshot", "timestamp", "director"):
        assert name in page


def test_the_page_says_what_waits_in_the_service_and_what_went_wrong(
    hub_scene: HubScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, look = hub_scene.running.service, hub_scene.browser("Reader")
    assert not service.ceremony.propose([KeyChange(role="os", public_keys=(pem(new_key()),))], actor="t")
    try:
        monkeypatch.setattr(service.repository, "_fault", "the disk is full")
        page = look.get("/repository").text
    finally:
        service.ceremony.cancel(actor="t")
    assert "signature is missing before the next version is published." in page
    assert "The last publication failed: The disk is full." in page
