# SPDX-License-Identifier: Apache-2.0
"""The page of the signing keys: which sign, who has which store, what ends, and the commands that help."""

from __future__ import annotations

from typing import Any

import pytest
from tests.console.hub_scene import HubScene

from armillary.console.frame.states import ATTENTION, BAD, GOOD
from armillary.console.releases.pages_signing_keys import COMMAND, ends_state, signing_keys_sheet

NOW = 1_790_000_000
YEAR_S = 365 * 86_400
NOBODY = {"have": 0, "waiting": 0, "refused": 0, "unable": 0, "away": 0}


def key(state: str, serial: str = "A1", **change: Any) -> dict[str, Any]:
    found = {
        "purpose": "os", "serial": serial * 10, "state": state, "subject": "CN=Signing", "ends_at": NOW + 20 * YEAR_S,
    }  # fmt: skip
    return found | change


def store(number: int = 0, *, in_force: bool = True, kind: str = "keys", **devices: int) -> dict[str, Any]:
    return {
        "kind": kind, "number": number, "created_at": NOW, "in_force_at": NOW if in_force else None,
        "trusted": {"os": ["A1"], "images": ["B2", "C3"]}, "devices": NOBODY | devices,
    }  # fmt: skip


def said(keys: list[dict[str, Any]], *stores: dict[str, Any]) -> str:
    made = signing_keys_sheet({"keys": keys, "stores": list(stores or [store()])}, NOW)
    cells = [cell for section in made.sections for row in section.rows for cell in row]
    words = [text for _, text in made.notices]
    words += [word for cell in cells for word in (cell.text, cell.reason, cell.state.word if cell.state else "")]
    return "\n".join([made.title, *words])


def test_a_next_key_names_whom_it_waits_for_and_how_it_is_used() -> None:
    keys = [key("in force"), key("next", "D4")]
    waits = store(1, in_force=False, have=5, waiting=2, refused=1, unable=3, away=7)
    words = said(keys, store(have=4, waiting=9), waits)
    for part in (
        "The next signing key waits: 6 devices that are here have not the store.",
        "2 devices may still take it, 1 device could not install it, 3 devices never said what they trust and 7 devices",
        "1 device could not install the newest trusted key store",
        "waits for devices",
        "not counted",
        f"{COMMAND} use --despite",
        f"{COMMAND} drop {'D4' * 10}",
    ):
        assert part in words
    assert "9 devices" not in words, "who has a newer store does not lack the one before"
    assert f"{COMMAND} renew" not in words, "it is refused while a key waits"
    words = said(keys, store(), store(1, in_force=False, have=5, away=7))
    assert "every device that is here has the store." in words
    assert "--despite" not in words
    assert f"{COMMAND} use" in words


def test_an_old_key_can_be_dropped_and_the_one_that_signs_cannot() -> None:
    words = said([key("old", "E5"), key("in force"), key("in force", "B2", purpose="images")])
    assert words.startswith("3 signing keys, of which 2 sign now.")
    assert f"{COMMAND} drop {'E5' * 10}" in words
    assert f"{COMMAND} drop {'A1' * 10}" not in words
    assert f"{COMMAND} renew" in words


@pytest.mark.parametrize(
    ("state", "left_s", "kind"),
    [
        ("in force", 3 * YEAR_S, GOOD),
        ("in force", YEAR_S - 1, ATTENTION),
        ("old", YEAR_S - 1, GOOD),
        ("old", 0, BAD),
        ("in force", -1, BAD),
    ],
)
def test_a_key_that_ends_is_named(state: str, left_s: int, kind: str) -> None:
    one = key(state, ends_at=NOW + left_s)
    assert ends_state(one, NOW) == kind
    assert ("The certificate of" in said([one])) == (kind != GOOD)


def test_the_page_of_a_new_service(hub_scene: HubScene) -> None:
    page = hub_scene.browser("Reader").get("/signing-keys").text
    assert "2 signing keys, of which 2 sign now." in page
    for one in hub_scene.running.service.updates.trust_stores.signing_keys():
        assert one.serial in page
    for part in ("trusted key store 0", "applications", "signs now", f"{COMMAND} renew"):
        assert part in page
    assert 'method="post" action="/signing-keys' not in page, "it only shows"
