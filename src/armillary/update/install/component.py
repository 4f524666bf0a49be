# SPDX-License-Identifier: Apache-2.0
"""Kinds of components in a bundle, in the order in which they are installed, and where each lies in flash.

The order is Azure Sphere's: what a device trusts comes first, then the OS, then what runs on it. A component has two
slots, ``a`` and ``b``. An OS component was put into slot ``a`` when the device was made, before there is any record.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from armillary.wire.image.section import (
    APPLICATIONS,
    CUSTOMER_BOARD_CONFIG,
    TRUSTED_KEYSTORE,
    UPDATE_CERT_STORE,
)

SLOTS: Final = ("a", "b")


class Kind(enum.IntEnum):
    """What an image is for; the numbers are the order of installation."""

    TRUST = 1  # trusted key store, certificate store: who may sign, and which service is ours
    OS = 2  # a component of the chip's boot chain
    APPLICATION = 3
    BOARD_CONFIGURATION = 4

    @property
    def is_system(self) -> bool:
        """Whether a new image takes effect with a restart of the device only."""
        return self in (Kind.TRUST, Kind.OS)


# Every other image type can only be a boot component, which the chip's profile has to know.
_KINDS: Final = {
    TRUSTED_KEYSTORE: Kind.TRUST,
    UPDATE_CERT_STORE: Kind.TRUST,
    APPLICATIONS: Kind.APPLICATION,
    CUSTOMER_BOARD_CONFIG: Kind.BOARD_CONFIGURATION,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OsPlace:
    """The place of a boot component on this chip, and what this boot measured in it.

    ``digest`` is the SHA-256 of the whole package, 32 bytes; a package may have ``size_limit_bytes``. ``runs_from`` is
    the slot that the machine runs it from, as the machine itself says; None where it runs from neither.
    """

    component_id: UUID
    image_type: int
    name: str
    size_limit_bytes: int
    digest: bytes
    runs_from: str | None = None


def kind_of(image_type: int) -> Kind:
    """The kind of an image, by its type in the image package."""
    return _KINDS.get(image_type, Kind.OS)


def other_slot(slot: str) -> str:
    """The slot beside this one."""
    return SLOTS[1] if slot == SLOTS[0] else SLOTS[0]


def os_region(name: str, slot: str) -> str:
    """Flash region of a boot component (its name in the chip profile)."""
    return f"{'boot' if slot == SLOTS[0] else 'boot.b'}/{name.lower()}"


def trust_region(component_id: UUID, slot: str) -> str:
    """Flash region of a trusted key store or certificate store."""
    return f"trust/{component_id}/{slot}"


def application_region(component_id: UUID, slot: str) -> str:
    """Flash region of an application or a board configuration."""
    return f"applications/{component_id}/{slot}"
