# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian recipe`` and ``consent``: signed here, wanted of the machine's module, and what it answers."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.api.running_service import RunningService, fresh, wait_until
from tests.cli.conftest import Command
from tests.console.guardian_scene import MACHINE, Guarded, Machine

from armillary.device.state.layout import DeviceFolder
from armillary.guardian.consent import FOLDER
from armillary.wire.equipment.files.signing import read_public_key
from armillary.wire.equipment.signed_file import RECIPE, verify

RECIPE_TEXT = """profile: guard/coffee
name: Winter
version: 4
slot: 3
values: {recipeNumber: 12, brewTemp: 91.5}
"""


@pytest.fixture
def guarded(service: RunningService) -> Iterator[Guarded]:
    made = Guarded(service, service.claimed(service.make_catalog(fresh("Stores"), product="Coffee")), fresh("coffee"))
    yield made
    made.close()


@pytest.fixture
def signed(bare: Command, tmp_path: Path) -> Path:
    (tmp_path / "winter.yaml").write_text(RECIPE_TEXT)
    assert bare("guardian", "profile", "key", "new", "--output-file", str(tmp_path / "key.pem")).code == 0
    out = tmp_path / "winter.dsse"
    words = ("--key", str(tmp_path / "key.pem"), "--output-file", str(out), "--json")
    assert bare("guardian", "recipe", "sign", str(tmp_path / "winter.yaml"), *words).json["version"] == 4
    return out


def test_a_recipe_is_signed_as_what_it_is(signed: Path) -> None:
    key = read_public_key(signed.with_name("key.pem.pub.pem").read_bytes())
    payload = json.loads(verify(signed.read_bytes(), [key], RECIPE).payload)
    assert (payload["profile"], payload["slot"], payload["values"]["brewTemp"]) == ("guard/coffee", 3, 91.5)


@pytest.mark.parametrize(
    ("line", "other"),
    [
        ("version: 4", "version: four"),
        ("slot: 3", "slot: -1"),
        ("values: {recipeNumber: 12, brewTemp: 91.5}", "values: [1]"),
        ("name: Winter", "title: Winter"),
    ],
)
def test_what_is_no_recipe_is_not_signed(line: str, other: str, bare: Command, tmp_path: Path, signed: Path) -> None:
    (tmp_path / "winter.yaml").write_text(RECIPE_TEXT.replace(line, other))
    out = tmp_path / "other.dsse"
    words = ("--key", str(tmp_path / "key.pem"), "--output-file", str(out))
    ran = bare("guardian", "recipe", "sign", str(tmp_path / "winter.yaml"), *words)
    assert (ran.code, out.exists()) == (1, False)
    assert "expected" in ran.err


def test_a_recipe_is_wanted_shown_and_taken_back(
    armillary: Command, guarded: Guarded, signed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Any]] = []

    def answer(_machine: Machine, name: str, payload: Any) -> tuple[int, dict[str, Any]]:
        asked.append((name, payload))
        if name == "rollbackRecipe" and len(asked) > 2:
            return 409, {"rule": "rollback", "error": "there is none before", "remedy": "Push another."}
        return 200, {"values": {"brewTemp": 91.5}, "version": 3}

    monkeypatch.setattr(Machine, "answer", answer)
    place = (guarded.device_id, MACHINE)
    pushed = armillary("guardian", "recipe", "push", *place, str(signed), "--json").json
    desired = guarded.running.hub.twins.get(guarded.identity).desired.properties["recipe"]
    assert (desired["version"], desired["sha256"]) == (4, pushed["sha256"])
    assert json.loads(desired["envelope"]) == json.loads(signed.read_text())
    payload = base64.b64decode(json.loads(desired["envelope"])["payload"])
    assert json.loads(payload)["name"] == "Winter"

    told = {"value": {"version": 4, "sha256": pushed["sha256"]}, "ac": 200, "ad": "version 4 is installed", "av": 2}
    guarded.machine.report({"recipe": told})
    wait_until(lambda: "recipe" in guarded.running.hub.twins.get(guarded.identity).reported.properties, "the answer")
    shown = armillary("guardian", "recipe", "show", *place, "--slot", "3", "--json").json
    assert (shown["wanted"], shown["reported"], shown["code"], shown["values"]) == (4, 4, 200, {"brewTemp": 91.5})
    assert asked == [("readRecipe", {"slot": 3})]

    assert armillary("guardian", "recipe", "rollback", *place).code == 0
    assert asked[1][0] == "rollbackRecipe"
    assert asked[1][1].keys() == {"nonce", "expires"}
    again = armillary("guardian", "recipe", "rollback", *place)
    assert again.code == 1
    assert "answered 409 (rule rollback): there is none before" in again.err
    assert "Push another." in again.err
    assert asked[2][1]["nonce"] != asked[1][1]["nonce"]


@pytest.mark.parametrize("value", ["text", 7, True, ["x"], {"value": "text"}, {"value": {"version": None}}])
def test_what_stands_in_a_twin_in_another_form_is_shown_as_nothing(
    armillary: Command, guarded: Guarded, value: object
) -> None:
    guarded.call("PATCH", f"/devices/{guarded.device_id}/twin?module={MACHINE}", {"desired": {"recipe": value}})
    guarded.machine.report({"recipe": value, "firmware": value})
    wait_until(lambda: "firmware" in guarded.running.hub.twins.get(guarded.identity).reported.properties, "the report")
    for verb in ("recipe", "firmware"):
        shown = armillary("guardian", verb, "show", guarded.device_id, MACHINE, "--json").json
        assert shown == {"wanted": None, "reported": None, "code": None, "outcome": None}


def test_consent_is_said_at_the_device_of_a_guardian_only(bare: Command, tmp_path: Path) -> None:
    words = ("guardian", "consent", "espresso1", "startClean", "--data", str(tmp_path))
    assert "no guardian runs on this device" in bare(*words).err
    folder = DeviceFolder(tmp_path).mutable / "0f" / FOLDER
    folder.mkdir(parents=True)
    assert bare(*words).code == 0
    assert [each.name for each in folder.iterdir()] == ["espresso1.startClean"]
    for wrong in ("../espresso1", "espresso1/x", ""):
        assert bare("guardian", "consent", wrong, "startClean", "--data", str(tmp_path)).code != 0
        assert bare("guardian", "consent", "espresso1", wrong, "--data", str(tmp_path)).code != 0
    assert len(list(tmp_path.rglob("*startClean*"))) == 1


def test_what_a_person_agrees_to_is_written_through_no_link(bare: Command, tmp_path: Path) -> None:
    """Whoever says it is often root, and may write to every file of the host."""
    host = tmp_path / "host"
    host.write_bytes(b"kept")
    folder = DeviceFolder(tmp_path).mutable / "0f" / FOLDER
    folder.mkdir(parents=True)
    (folder / "press.stop").symlink_to(host)
    assert bare("guardian", "consent", "press", "stop", "--data", str(tmp_path)).code == 0
    assert host.read_bytes() == b"kept"
    assert (folder / "press.stop").lstat().st_size == 0
    assert not (folder / "press.stop").is_symlink()


def test_a_folder_of_consents_that_is_a_link_is_no_guardians(bare: Command, tmp_path: Path) -> None:
    host = tmp_path / "host"
    host.mkdir()
    storage = DeviceFolder(tmp_path).mutable / "0f"
    storage.mkdir(parents=True)
    (storage / FOLDER).symlink_to(host)
    assert bare("guardian", "consent", "press", "stop", "--data", str(tmp_path)).code == 1
    assert not list(host.iterdir())
    (storage / FOLDER).unlink()
    (storage / FOLDER).mkdir()
    assert bare("guardian", "consent", "press", "stop", "--data", str(tmp_path)).code == 0  # the control
