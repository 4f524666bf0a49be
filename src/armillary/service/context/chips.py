# SPDX-License-Identifier: Apache-2.0
"""The chip profiles this service knows: read once from ``content/chips``."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from armillary import content
from armillary.boot.profile import ChipProfile, parse
from armillary.errors import NotFoundError


class Chips:
    """Chip profiles by name."""

    def __init__(self, profiles: Iterable[ChipProfile]) -> None:
        self._profiles = {profile.name: profile for profile in profiles}

    @classmethod
    def load(cls) -> Chips:
        """All profiles that ship with Armillary."""
        return cls(parse(content.chip_document(name)) for name in content.chip_names())

    @property
    def names(self) -> tuple[str, ...]:
        """Names, sorted."""
        return tuple(sorted(self._profiles))

    @property
    def makers(self) -> tuple[str, ...]:
        """Chip makers, each once."""
        return tuple(sorted({profile.maker for profile in self._profiles.values()}))

    def get(self, name: str) -> ChipProfile:
        """A profile by name; NotFoundError, which lists those there are."""
        found = self._profiles.get(name)
        if found is None:
            raise NotFoundError(f"no chip {name!r:.60}", remedy=f"Use one of: {', '.join(self.names)}.")
        return found

    def boot_component(self, component_id: UUID) -> str | None:
        """``NAME of CHIP``, the boot component of this id; None when no chip has one."""
        for profile in self._profiles.values():
            for component in profile.boot_components:
                if component.component_id == component_id:
                    return f"{component.name} of {profile.name}"
        return None

    @property
    def largest_application_flash(self) -> int:
        """Bytes: no package larger than this fits any chip."""
        return max(profile.limits.application_flash_bytes for profile in self._profiles.values())

    @property
    def architectures(self) -> frozenset[str]:
        """Instruction sets of high-level applications."""
        return frozenset(profile.architecture for profile in self._profiles.values())
