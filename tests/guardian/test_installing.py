# SPDX-License-Identifier: Apache-2.0
"""Recipes, firmware and profiles from signed files: installed, read back, refused, taken back."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.fixtures.waiting import until
from tests.guardian.guardian_stage import KEY, NAME, Stage, fresh, signed_profile, staged

from armillary.guard.allow_list import RECIPE as RECIPE_RULE
from armillary.guardian.installing import desired, firmware, recipes, writing
from armillary.guardian.polling import Poller
from armillary.sim.equipment.faults import Fault
from armillary.sim.equipment.firmware import firmware_file
from armillary.wire.equipment.faults import LinkError
from armillary.wire.equipment.files.firmware_file import FirmwareFile
from armillary.wire.equipment.files.recipe_file import RecipeFile
from armillary.wire.equipment.files.signing import sign
from armillary.wire.equipment.signed_file import FIRMWARE, RECIPE

VALUES = {
    "recipeNumber": 11, "brewTemp": 94.0, "preInfusionTime": 3.0, "preInfusionPressure": 2.0, "brewPressure": 9.0,
    "doseWeight": 18.5, "grindTime": 4.0, "shotVolume": 38.0, "shotTime": 27.0, "flowLimit": 6.0, "milkTemp": 60.0,
    "beanHopper": 1,
}  # fmt: skip
IMAGE = firmware_file(113, os.urandom(700))


def recipe(version: int, *, key: Any = KEY, profile: str = "guard/coffee", **values: float) -> dict[str, object]:
    """The desired property of a signed recipe."""
    made = RecipeFile(profile=profile, name="winter", version=version, slot=0, values={**VALUES, **values})
    envelope = sign(RECIPE, made.payload, key)
    return {"version": version, "sha256": hashlib.sha256(made.payload).hexdigest(), "envelope": envelope.decode()}


def signed_firmware(content: bytes = IMAGE, version: int = 113, **changes: Any) -> dict[str, object]:
    made = FirmwareFile(
        profile="guard/coffee", version=version, size=len(content), sha256=hashlib.sha256(content).hexdigest()
    )
    envelope = sign(FIRMWARE, made.payload, KEY)
    return {"version": version, "sha256": made.sha256, "envelope": envelope.decode(), **changes}


def play(tmp_path: Path, scene: Any, **options: Any) -> Any:
    async def run() -> Any:
        async with staged(tmp_path, **options) as stage:
            await stage.settled()
            await stage.sent()
            return await scene(stage)

    return asyncio.run(run())


async def outcome(stage: Stage, name: str, wanted: Mapping[str, object], version: int = 3) -> dict[str, Any]:
    """Want something and wait until it is there or refused; the acknowledgement."""
    stage.equipment.want({name: wanted, "$version": version})

    def acknowledged() -> Any:
        found: Any = (stage.equipment.properties() or {}).get(name)
        return found if found is not None and found["av"] == version and found["ac"] != desired.WAITS else None

    await until(acknowledged, f"{name} to be answered")
    found: dict[str, Any] = acknowledged()
    return found


def test_a_recipe_is_written_read_back_started_and_rolled_back_at_once(tmp_path: Path):
    async def scene(stage: Stage) -> None:
        before = (await stage.equipment.call("readRecipe", {"slot": 0}))[1]["values"]
        wanted = recipe(7)
        answer = await outcome(stage, "recipe", wanted)
        assert (answer["ac"], answer["value"]) == (200, {"version": 7, "sha256": wanted["sha256"]})
        assert stage.life.machine.settings()["setBrewTemp"] == pytest.approx(94.0)
        stands = (await stage.equipment.call("readRecipe", {"slot": 0}))[1]["values"]
        assert stands == pytest.approx(VALUES)
        status, said = await stage.equipment.call("rollbackRecipe", fresh())
        back = (await stage.equipment.call("readRecipe", {"slot": 0}))[1]["values"]
        assert (status, back) == (200, before), said
        assert [each["outcome"] for each in await stage.attempts()] == ["done", "done", "done"]
        assert (await stage.equipment.call("rollbackRecipe", fresh()))[1]["rule"] == "not-listed"

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (recipe(8, brewTemp=140.0), 403),
        (recipe(8, key=ec.generate_private_key(ec.SECP256R1())), 400),
        (recipe(8, profile="guard/cable"), 400),
        (recipe(8, extra=1.0), 403),
        ({"version": 8, "envelope": "no envelope"}, 400),
        ({**recipe(8), "envelope": signed_firmware()["envelope"]}, 400),
    ],
    ids=("range", "key", "profile", "field", "form", "type"),
)
def test_a_recipe_that_may_not_be_is_refused_and_nothing_is_written(
    tmp_path: Path, wanted: Mapping[str, object], code: int
):
    async def scene(stage: Stage) -> None:
        before = (await stage.equipment.call("readRecipe", {"slot": 0}))[1]
        assert (await outcome(stage, "recipe", wanted))["ac"] == code
        assert (await stage.equipment.call("readRecipe", {"slot": 0}))[1] == before
        assert [each["outcome"] for each in await stage.attempts()] == ["refused"]

    play(tmp_path, scene)


def test_an_earlier_recipe_is_refused_also_after_a_restart(tmp_path: Path):
    async def first(stage: Stage) -> None:
        assert (await outcome(stage, "recipe", recipe(7)))["ac"] == 200

    async def again(stage: Stage) -> None:
        assert (await outcome(stage, "recipe", recipe(6)))["ac"] == 409
        assert (await outcome(stage, "recipe", recipe(7), 4))["ac"] == 200, "the same is there already"

    play(tmp_path, first)
    play(tmp_path, again)


def test_a_recipe_waits_while_the_machine_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(desired, "AGAIN_S", 0.1)

    async def scene(stage: Stage) -> None:
        stage.life.told("brew")
        stage.equipment.want({"recipe": recipe(7), "$version": 3})
        await until(lambda: "interlock" in str(refused(stage)), "the guard to refuse it for now")
        assert code(stage, "recipe") == 202
        stage.life.machine.restart()
        await until(lambda: code(stage, "recipe") == 200, "the recipe")

    play(tmp_path, scene)


def code(stage: Stage, name: str) -> object:
    """The code of an acknowledgement; None as long as there is none."""
    answer: Any = (stage.equipment.properties() or {}).get(name, {})
    return answer.get("ac")


def refused(stage: Stage) -> object:
    return stage.equipment.status(20)["refused"]


def test_a_recipe_that_does_not_stand_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The equipment says yes to each write and keeps another value of one: what stood is written back, none is started."""
    kept = {}

    async def scene(stage: Stage) -> None:
        before = (await stage.equipment.call("readRecipe", {"slot": 0}))[1]["values"]
        bank = stage.server._machine._bank
        write = bank.write_registers

        def other(address: int, words: Any) -> Any:
            if address == 200 and not kept:
                kept[address] = words
                return write(address, [words[0] + 1, *words[1:]])
            return write(address, words)

        monkeypatch.setattr(bank, "write_registers", other)
        answer = await outcome(stage, "recipe", recipe(7))
        assert answer["ac"] == 409
        assert (await stage.equipment.call("readRecipe", {"slot": 0}))[1]["values"] == before
        assert stage.life.machine.settings()["setBrewTemp"] == pytest.approx(92.5)
        assert (await stage.attempts())[-1]["outcome"] == "differs"

    play(tmp_path, scene)
    assert kept


def test_a_rollback_to_nothing_does_not_end_the_interval_of_recipes(tmp_path: Path):
    payload = fresh()

    async def scene(stage: Stage) -> None:
        assert (await outcome(stage, "recipe", recipe(7)))["ac"] == 200
        assert (await stage.equipment.call("rollbackRecipe", fresh()))[0] == 200
        assert (await stage.equipment.call("rollbackRecipe", payload))[1]["rule"] == "not-listed"
        stage.equipment.want({"recipe": recipe(8), "$version": 4})
        await until(
            lambda: "every" in str((stage.equipment.properties() or {}).get("recipe")), "the guard to refuse it"
        )
        assert code(stage, "recipe") == 202

    async def again(stage: Stage) -> None:
        """A refused command is not tried later by whoever kept a copy."""
        assert (await stage.equipment.call("rollbackRecipe", payload))[1]["rule"] == "replayed"

    play(tmp_path, scene)
    play(tmp_path, again)


@pytest.mark.parametrize("slot", [-1, 8, 100_000, True, "0", None])
def test_a_slot_that_is_none_is_refused(tmp_path: Path, slot: object):
    async def scene(stage: Stage) -> None:
        status, answer = await stage.equipment.call("readRecipe", {"slot": slot})
        assert (status, answer["rule"]) == (403, "span")

    play(tmp_path, scene)


def test_what_a_reconnect_says_again_is_not_tried_again(tmp_path: Path):
    wanted = recipe(8, brewTemp=140.0)

    async def scene(stage: Stage) -> None:
        assert (await outcome(stage, "recipe", wanted))["ac"] == 403
        stage.equipment.want({"recipe": dict(wanted), "$version": 3})
        assert (await outcome(stage, "recipe", dict(wanted), 4))["ac"] == 403, "pushed again, it is tried again"
        assert [each["outcome"] for each in await stage.attempts()] == ["refused", "refused"]

    play(tmp_path, scene)


def test_a_newer_profile_waits_for_what_is_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    newer = signed_profile(version=4, groups={"fast": 0.2, "slow": 30})

    async def scene(stage: Stage) -> None:
        written, go_on = held_writes(monkeypatch)
        stage.equipment.want({"recipe": recipe(7), "$version": 3})
        await written.wait()
        stage.equipment.want({"signedProfile": {"version": 4, "envelope": newer.decode()}, "$version": 4})
        await until(lambda: code(stage, "signedProfile") == 200, "the profile to be taken")
        go_on.set()
        await until(lambda: stage.equipment.status(1)["version"] == 4, "the newer profile")
        assert [each["outcome"] for each in await stage.attempts()] == ["done"]
        assert (await stage.equipment.call("readRecipe", {"slot": 0}))[1]["values"] == pytest.approx(VALUES)

    play(tmp_path, scene)


def test_after_an_end_in_the_middle_the_recipe_before_is_still_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(desired, "AGAIN_S", 0.1)

    async def scene(stage: Stage) -> None:
        equipment = stage.equipment
        stood = (await equipment.call("readRecipe", {"slot": 0}))[1]["values"]
        with monkeypatch.context() as holding:
            written, _ = held_writes(holding)
            equipment.want({"recipe": recipe(7), "$version": 3})
            await written.wait()
        first = equipment.served
        assert equipment._installer is not None
        equipment._installer.desired.close()
        equipment._renewed.set()
        await until(lambda: equipment.served not in (None, first), "it to be served anew")
        assert (await equipment.call("readRecipe", {"slot": 0}))[1]["values"] == pytest.approx(VALUES), "not started"
        assert equipment._commander is not None
        equipment._commander.kept.history.last.clear()  # The interval is over
        await until(lambda: code(stage, "recipe") == 200, "the recipe")
        assert (await equipment.call("rollbackRecipe", fresh()))[0] == 200
        assert (await equipment.call("readRecipe", {"slot": 0}))[1]["values"] == stood

    play(tmp_path, scene)


def held_writes(monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Have recipes wait when they are written, before they are started: an event for each end of that."""
    written, go_on = asyncio.Event(), asyncio.Event()

    async def write(*arguments: Any) -> None:
        await writing.write(*arguments)
        written.set()
        await go_on.wait()

    monkeypatch.setattr(recipes, "write", write)
    return written, go_on


async def put(stage: Stage, content: bytes, sha256: object, piece: int = 256) -> list[tuple[int, Any]]:
    answers = []
    for offset in range(0, len(content), piece):
        data = base64.b64encode(content[offset : offset + piece]).decode()
        answers.append(await stage.equipment.call("putFirmware", {"sha256": sha256, "offset": offset, "data": data}))
    return answers


def test_a_firmware_comes_in_pieces_waits_for_consent_and_shows_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(desired, "AGAIN_S", 0.1)
    monkeypatch.setattr(firmware, "SHOWN_LOOK_S", 0.1)

    async def scene(stage: Stage) -> None:
        wanted = signed_firmware()
        stage.equipment.want({"firmware": wanted, "$version": 3})
        await until(lambda: "firmware" in (stage.equipment.properties() or {}), "the statement to be taken")
        answers = await put(stage, IMAGE, wanted["sha256"])
        assert answers[-1] == (200, {"received": len(IMAGE)})
        await until(lambda: "agreed" in str(refused_text(stage)), "the guard to ask for consent")
        (stage.means.around.data / "consent" / f"{NAME}.firmware").write_bytes(b"")
        await until(lambda: code(stage, "firmware") == 200, "the firmware")
        assert stage.life.machine.values()["firmwareVersion"] == 113
        assert [each["outcome"] for each in await stage.attempts()] == ["done"]

    play(tmp_path, scene)


def test_a_firmware_whose_bytes_changed_since_they_came_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(desired, "AGAIN_S", 0.1)

    async def scene(stage: Stage) -> None:
        running = stage.life.machine.values()["firmwareVersion"]
        wanted = signed_firmware()
        stage.equipment.want({"firmware": wanted, "$version": 3})
        await until(lambda: "firmware" in (stage.equipment.properties() or {}), "the statement to be taken")
        await put(stage, IMAGE, wanted["sha256"])
        await until(lambda: "agreed" in str(refused_text(stage)), "the guard to ask for consent")
        (stage.means.folder / f"{NAME}.firmware").write_bytes(firmware_file(113, bytes(700)))
        (stage.means.around.data / "consent" / f"{NAME}.firmware").write_bytes(b"")
        await until(lambda: code(stage, "firmware") == 400, "the refusal")
        assert stage.life.machine.values()["firmwareVersion"] == running

    play(tmp_path, scene)


def test_a_firmware_waits_while_the_machine_does_not_say_which_one_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Else an earlier one could be installed whenever its version cannot be read."""
    monkeypatch.setattr(desired, "AGAIN_S", 0.1)
    earlier = firmware_file(101, b"with an old mistake")

    async def scene(stage: Stage) -> None:
        read = Poller.read

        async def refused(poller: Poller, point: str) -> Any:
            if point == "firmwareVersion":
                raise LinkError("refused", "function 4: server busy (exception 6)")
            return await read(poller, point)

        monkeypatch.setattr(Poller, "read", refused)
        running = stage.life.machine.values()["firmwareVersion"]
        wanted = signed_firmware(earlier, version=101)
        stage.equipment.want({"firmware": wanted, "$version": 3})
        await until(lambda: "firmware" in (stage.equipment.properties() or {}), "the statement to be taken")
        await put(stage, earlier, wanted["sha256"])
        (stage.means.around.data / "consent" / f"{NAME}.firmware").write_bytes(b"")
        await until(lambda: "does not show which version" in str(refused_text(stage)), "it to be asked for")
        assert code(stage, "firmware") == 202
        assert stage.life.machine.values()["firmwareVersion"] == running

    play(tmp_path, scene)


def test_an_earlier_firmware_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Signed as it is: what it does not mend, somebody knows."""
    monkeypatch.setattr(desired, "AGAIN_S", 0.1)
    earlier = firmware_file(101, b"with an old mistake")

    async def scene(stage: Stage) -> None:
        running = stage.life.machine.values()["firmwareVersion"]
        wanted = signed_firmware(earlier, version=101)
        stage.equipment.want({"firmware": wanted, "$version": 3})
        await until(lambda: "firmware" in (stage.equipment.properties() or {}), "the statement to be taken")
        await put(stage, earlier, wanted["sha256"])
        (stage.means.around.data / "consent").mkdir(exist_ok=True)
        (stage.means.around.data / "consent" / f"{NAME}.firmware").write_bytes(b"")
        await until(lambda: code(stage, "firmware") == 409, "the refusal")
        assert stage.life.machine.values()["firmwareVersion"] == running

    play(tmp_path, scene)


def test_a_firmware_that_does_not_show_itself_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(desired, "AGAIN_S", 0.1)
    monkeypatch.setattr(firmware, "SHOWN_WITHIN_S", 0.6)
    monkeypatch.setattr(firmware, "SHOWN_LOOK_S", 0.1)
    other = firmware_file(114, os.urandom(300))  # It is signed as 113, and says 114

    async def scene(stage: Stage) -> None:
        running = stage.life.machine.values()["firmwareVersion"]
        wanted = signed_firmware(other)
        stage.equipment.want({"firmware": wanted, "$version": 3})
        await until(lambda: "firmware" in (stage.equipment.properties() or {}), "the statement to be taken")
        await put(stage, other, wanted["sha256"])
        (stage.means.around.data / "consent").mkdir(exist_ok=True)
        (stage.means.around.data / "consent" / f"{NAME}.firmware").write_bytes(b"")
        await until(lambda: code(stage, "firmware") == 409, "the refusal")
        assert stage.life.machine.values()["firmwareVersion"] == running
        assert [each["outcome"] for each in await stage.attempts()] == ["differs"]

    play(tmp_path, scene)


def refused_text(stage: Stage) -> object:
    return (stage.equipment.properties() or {}).get("firmware")


def test_bytes_of_another_firmware_are_thrown_away(tmp_path: Path):
    async def scene(stage: Stage) -> None:
        wanted = signed_firmware()
        assert (await put(stage, IMAGE, wanted["sha256"]))[0][0] == 409, "nobody has asked for it"
        stage.equipment.want({"firmware": wanted, "$version": 3})
        await until(lambda: "firmware" in (stage.equipment.properties() or {}), "the statement to be taken")
        assert (await put(stage, bytes(len(IMAGE)), wanted["sha256"]))[-1][0] == 422
        for piece in ({"offset": 9, "data": "AA=="}, {"offset": 0, "data": "%%"}, {"offset": -1, "data": "AA=="}, {}):
            status, _ = await stage.equipment.call("putFirmware", {"sha256": wanted["sha256"], **piece})
            assert status == 400

    play(tmp_path, scene)


def test_a_newer_profile_from_the_hub_is_in_force_at_once_and_after_a_restart(tmp_path: Path):
    newer = signed_profile(version=4, groups={"fast": 0.2, "slow": 30})

    async def scene(stage: Stage) -> None:
        stage.equipment.want({"signedProfile": {"version": 4, "envelope": newer.decode()}, "$version": 2})
        await until(lambda: stage.equipment.status(1)["version"] == 4, "the newer profile")
        assert stage.equipment.served is not None
        assert stage.equipment.served.compiled.profile.groups["fast"] == 0.2

    async def again(stage: Stage) -> None:
        assert stage.equipment.status(1)["version"] == 4

    async def older(stage: Stage) -> None:
        answer = await outcome(stage, "signedProfile", {"version": 3, "envelope": signed_profile().decode()})
        assert answer["ac"] == 409
        assert stage.equipment.status(1)["version"] == 4

    async def another(stage: Stage) -> None:
        """What is in force would depend on the next start."""
        other = signed_profile(version=4, groups={"fast": 0.3, "slow": 30})
        answer = await outcome(stage, "signedProfile", {"version": 4, "envelope": other.decode()})
        assert (answer["ac"], stage.equipment.status(1)["version"]) == (409, 4)
        assert (await outcome(stage, "signedProfile", {"version": 4, "envelope": newer.decode()}, 9))["ac"] == 200

    async def still(stage: Stage) -> None:
        assert stage.equipment.served is not None
        assert stage.equipment.served.compiled.profile.groups["fast"] == 0.2

    for each in (scene, again, older, another, still):
        play(tmp_path, each)


def test_silence_in_the_middle_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(desired, "AGAIN_S", 0.1)

    async def scene(stage: Stage) -> None:
        stage.life.faults.plan(Fault.SILENCE, 3)
        stage.equipment.want({"recipe": recipe(7), "$version": 3})
        await until(lambda: code(stage, "recipe") == 200, "the recipe, in the end")
        assert stage.equipment.served is not None
        assert RECIPE_RULE in stage.equipment._commander.kept.history.last  # type: ignore[union-attr]

    play(tmp_path, scene)
