# SPDX-License-Identifier: Apache-2.0
"""Recipes of one piece of equipment: signed, newer than the last, written, read back, started; the one before is kept.

An installation, step by step: (1) the signature and the profile's name; (2) a version that is higher than every one
that was taken; (3) what stands in the slot is read and kept; (4) the guard permits each write, by range, rate and
interlock; (5) each write is read back; (6) the commit, by the interlock as it is then. Where (5) or (6) fails, what
stood there is written back, and committed again if the commit may have reached the equipment.

A recipe for which the equipment is not ready (it brews) waits and is tried again. Going back to the recipe before is a
command of a person, with nonce and expiry; it may follow at once, once for each installation.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from armillary.guard.allow_list import RECIPE, recipe_pieces
from armillary.guard.auditing import Outcome, outcome_of
from armillary.guard.commanding import check_fresh, read_command
from armillary.guard.decoding import decode_written
from armillary.guard.installing import Recipe, judge_commit, judge_recipe
from armillary.guard.situation import Situation
from armillary.guardian.commands import Commander, pending
from armillary.guardian.durable_file import read_if_there, write_file
from armillary.guardian.installing.writing import look, write
from armillary.guardian.log import log
from armillary.wire.equipment.faults import GuardRefusedError, LinkError, ProfileError, ReadBackError
from armillary.wire.equipment.files.recipe_file import RecipeFile, read_recipe
from armillary.wire.equipment.profile import RAW_KINDS, RecipeArea
from armillary.wire.equipment.reading import Value
from armillary.wire.equipment.request import ModbusReply, ModbusRequest
from armillary.wire.equipment.signed_file import RECIPE as RECIPE_TYPE, TrustedKey, verify

ROLLBACK = "rollbackRecipe"
REPLY_HEAD_BYTES = 2  # Function and byte count
WORD_BYTES = 2


@dataclass(slots=True)
class KeptRecipes:
    """What is known of the equipment's recipes, kept in ``equipment/{name}.recipes``."""

    path: Path
    taken: int = 0  # The highest version that was taken
    now: dict[str, object] = field(default_factory=dict)  # version, sha256, slot
    before: dict[str, object] = field(default_factory=dict)  # slot, values, version and sha256 where they are known
    under_way: dict[str, object] = field(default_factory=dict)  # slot, values: what stood where a writing has not ended

    def keep(self) -> None:
        """Write it down. Raises OSError where the disk refuses."""
        document = {"taken": self.taken, "now": self.now, "before": self.before, "under_way": self.under_way}
        write_file(self.path, json.dumps(document).encode())


def kept_recipes(path: Path) -> KeptRecipes:
    """What was kept; a file that cannot be read is none, and says so. Raises OSError."""
    data = read_if_there(path)
    if data is None:
        return KeptRecipes(path)
    try:
        found = json.loads(data)
        under_way = dict(found.get("under_way", {}))
        return KeptRecipes(path, int(found["taken"]), dict(found["now"]), dict(found["before"]), under_way)
    except (ValueError, TypeError, KeyError) as error:
        log(f"{path.name}: {error}")
        return KeptRecipes(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipes:
    """Takes recipes for one piece of equipment."""

    commander: Commander
    kept: KeptRecipes
    keys: tuple[TrustedKey, ...]

    async def take(self, envelope: bytes) -> RecipeFile:
        """Install a recipe; one that is installed already is left as it is.

        Raises:
            SignatureError, ProfileError: it is not signed, for another profile, or not newer (rule ``rollback``).
            GuardRefusedError: ``interlock`` and ``rate`` may pass, the others do not.
            LinkError, ReadBackError: it could not be written; what stood there stands there again.
            OSError: the storage refuses.
        """
        verified = verify(envelope, self.keys, RECIPE_TYPE)
        recipe = read_recipe(verified.payload)
        if self.kept.now.get("sha256") == verified.sha256:
            return recipe
        profile = self.commander.served.compiled.profile
        if recipe.profile != profile.name:
            raise ProfileError("profile", expected=profile.name, got=recipe.profile, rule="name")
        async with self.commander.turn:
            if recipe.version <= self.kept.taken:
                expected = f"more than {self.kept.taken}"
                raise ProfileError("version", expected=expected, got=str(recipe.version), rule="rollback")
            stood = await self._install(recipe)
            self.kept.before = {**stood, **{key: self.kept.now.get(key) for key in ("version", "sha256")}}
            self.kept.taken = recipe.version
            self.kept.now = {"version": recipe.version, "sha256": verified.sha256, "slot": recipe.slot}
            self.kept.under_way = {}
            await asyncio.to_thread(self.kept.keep)
        return recipe

    async def roll_back(self, payload: object) -> tuple[int, object]:
        """Answer the method ``rollbackRecipe``: write what stood before the last installation."""
        async with self.commander.turn:
            try:
                request = read_command(ROLLBACK, payload)
                check_fresh(request.nonce, request.expires_at, self._situation, self.commander.clock.moment)
                await self.commander.keep(None)  # The nonce is used up, whatever comes of it
                before = self.kept.before
                restored = _restored(before)
                with self._without_interval():  # Going back once is part of the installation
                    await self._install(restored)
            except (GuardRefusedError, LinkError, ReadBackError) as error:
                return await self.commander.refused(ROLLBACK, None, error)
            now = {key: before.get(key) for key in ("version", "sha256", "slot")}
            self.kept.now, self.kept.before, self.kept.under_way = now, {}, {}
            await asyncio.to_thread(self.kept.keep)
            await self.commander.ended(ROLLBACK, now["version"], Outcome.DONE, None)
            return 200, {"version": now["version"], "verified": True}

    async def read(self, slot: int) -> dict[str, Value | None]:
        """What stands in a slot, by field. Raises GuardRefusedError (``span``: there is no such slot), LinkError."""
        served = self.commander.served
        area = self._area
        if not 0 <= slot < area.slots:
            raise GuardRefusedError("span", f"there are slots 0 to {area.slots - 1}")
        found: dict[str, Value | None] = {}
        for span, fields in recipe_pieces(area, slot):
            unit = served.compiled.allow.unit
            reply = await served.exchange.send(ModbusRequest(-1 if unit is None else unit, span.pdu))
            data = reply.pdu[REPLY_HEAD_BYTES:] if isinstance(reply, ModbusReply) else b""
            start = fields[0].offset
            for each in fields:
                at = (each.offset - start) * WORD_BYTES
                found[each.name] = decode_written(each, data[at : at + RAW_KINDS[each.raw].size])
        return found

    async def _install(self, recipe: RecipeFile) -> dict[str, object]:
        """Steps (3) to (6); returns what stood in the slot."""
        commander = self.commander
        served, area = commander.served, self._area
        await look(served, area.when)
        stood = await self._standing(recipe.slot) if 0 <= recipe.slot < area.slots else {}
        profile, allow = served.compiled.profile, served.compiled.allow
        asked = Recipe(recipe.slot, recipe.values)
        try:
            permits = judge_recipe(profile, allow, asked, self._situation, commander.clock.moment)
        except GuardRefusedError as error:
            served.exchange.refused[error.rule] += 1
            raise
        self.kept.under_way = {"slot": recipe.slot, "values": stood}
        await asyncio.to_thread(self.kept.keep)
        await commander.keep(pending(RECIPE, recipe.version))
        committing = False
        try:
            await write(served, permits)
            await look(served, area.when)
            commit = judge_commit(profile, allow, self._situation, commander.clock.moment)
            committing = True
            await served.exchange.carry_out(commit)
        except (GuardRefusedError, LinkError, ReadBackError) as error:
            await self._take_back(recipe.slot, stood, committed=committing)
            outcome, rule = outcome_of(error)
            await commander.ended(RECIPE, recipe.version, Outcome.FAILED if rule else outcome, rule)
            raise
        await commander.ended(RECIPE, recipe.version, Outcome.DONE, None)
        return {"slot": recipe.slot, "values": stood}

    async def _standing(self, slot: int) -> dict[str, Value | None]:
        """What stands in a slot; after a writing that has not ended (a kill) what stood before it, and no half of each.

        Raises GuardRefusedError, LinkError.
        """
        stands = await self.read(slot)
        before = self.kept.under_way.get("values")
        if self.kept.under_way.get("slot") == slot and isinstance(before, dict) and before.keys() == stands.keys():
            return before
        return stands

    @contextlib.contextmanager
    def _without_interval(self) -> Iterator[None]:
        """Permit a recipe whatever the time since the last one; where none is permitted, that interval goes on."""
        last = self.commander.kept.history.last
        before = last.pop(RECIPE, None)
        try:
            yield
        finally:
            if before is not None:
                last.setdefault(RECIPE, before)

    async def _take_back(self, slot: int, stood: Mapping[str, object], *, committed: bool) -> None:
        """Write what stood in the slot, as well as that can be done."""
        commander = self.commander
        served = commander.served
        profile, allow = served.compiled.profile, served.compiled.allow
        try:
            moment = commander.clock.moment
            with self._without_interval():
                permits = judge_recipe(profile, allow, Recipe(slot, stood), self._situation, moment)
            await write(served, permits)
            if committed:
                await served.exchange.carry_out(judge_commit(profile, allow, self._situation, commander.clock.moment))
            self.kept.under_way = {}
            await asyncio.to_thread(self.kept.keep)
        except (GuardRefusedError, LinkError, ReadBackError) as error:
            log(f"{profile.name}: what stood in slot {slot} cannot be written back: {error.message}")
        except OSError as error:
            log(f"{self.kept.path.name}: {error}")

    @property
    def _situation(self) -> Situation:
        return Situation(readings=self.commander.served.poller.latest, history=self.commander.kept.history)

    @property
    def _area(self) -> RecipeArea:
        area = self.commander.served.compiled.profile.recipe
        if area is None:
            raise GuardRefusedError("read-only", "the profile has no recipes")
        return area


def _restored(before: Mapping[str, object]) -> RecipeFile:
    """What stood before, to be installed again. Raises GuardRefusedError where nothing is known of it."""
    slot, values, version = before.get("slot"), before.get("values"), before.get("version")
    if not isinstance(values, dict) or not isinstance(slot, int):
        raise GuardRefusedError("not-listed", "there is no recipe before this one")
    return RecipeFile(
        profile="",
        name="before",
        version=version if isinstance(version, int) else 0,
        slot=slot,
        values={name: value for name, value in values.items() if isinstance(value, (bool, int, float))},
    )
