# SPDX-License-Identifier: Apache-2.0
"""What is installed in one piece of equipment, by desired properties and by the methods that belong to them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from armillary.errors import WireError
from armillary.guard.auditing import Outcome
from armillary.guardian.commands import Answer, Commander, refusal
from armillary.guardian.installing.desired import PASSING_RULES, Desired, Install, SupersededError
from armillary.guardian.installing.firmware import PUT, Firmware
from armillary.guardian.installing.recipes import ROLLBACK, Recipes, kept_recipes
from armillary.wire.equipment.faults import GuardRefusedError, LinkError, ProfileError
from armillary.wire.equipment.signed_file import TrustedKey

READ = "readRecipe"
UNSIGNED = "signature"  # The rule of an attempt whose file no trusted key has signed


@dataclass(frozen=True, slots=True)
class Installer:
    """Recipes, firmware and profiles of one piece of equipment."""

    recipes: Recipes
    firmware: Firmware
    desired: Desired

    async def call(self, name: str, payload: object) -> Answer | None:
        """Answer a method about what is installed; None for a method that is none of these."""
        if name == ROLLBACK:
            return await self.recipes.roll_back(payload)
        if name == PUT:
            return await asyncio.to_thread(self.firmware.put, payload)
        if name == READ:
            slot = payload.get("slot") if isinstance(payload, dict) else None
            number = slot if isinstance(slot, int) and not isinstance(slot, bool) else -1
            try:
                return 200, {"slot": slot, "values": await self.recipes.read(number)}
            except (GuardRefusedError, LinkError) as error:
                return refusal(error)
        return None


def installer(
    commander: Commander,
    keys: tuple[TrustedKey, ...],
    folder: Path,
    equipment: str,
    *,
    take_profile: Callable[[bytes], Awaitable[int]],
    changed: Callable[[], None],
) -> Installer:
    """The installer of a piece of equipment that is served; reads what was kept. Raises OSError."""
    recipes = Recipes(commander=commander, kept=kept_recipes(folder / f"{equipment}.recipes"), keys=keys)
    firmware = Firmware(commander=commander, keys=keys, part=folder / f"{equipment}.firmware")

    async def take_recipe(envelope: bytes) -> int:
        return (await recipes.take(envelope)).version

    async def take_firmware(envelope: bytes) -> int:
        wanted = firmware.want(envelope)
        await firmware.complete.wait()
        if firmware.wanted != wanted:
            raise SupersededError
        await firmware.install(wanted)
        return wanted.version

    install = {"recipe": take_recipe, "firmware": take_firmware, "signedProfile": take_profile}
    recorded = {name: _recorded(commander, name, each) for name, each in install.items()}
    return Installer(recipes, firmware, Desired(equipment, recorded, changed))


def _recorded(commander: Commander, name: str, install: Install) -> Install:
    """``install``, with a record of what it refuses for good. What may pass is tried again, and is no attempt yet."""

    async def run(envelope: bytes) -> int:
        try:
            return await install(envelope)
        except (WireError, GuardRefusedError) as error:
            rule = error.rule if isinstance(error, (GuardRefusedError, ProfileError)) else UNSIGNED
            if rule not in PASSING_RULES:
                await commander.ended(name, None, Outcome.REFUSED, rule)
            raise

    return run
