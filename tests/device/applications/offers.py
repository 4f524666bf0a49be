# SPDX-License-Identifier: Apache-2.0
"""Offers of made-up applications, and the packages that they name."""

from __future__ import annotations

import hashlib
import uuid

from armillary.wire.device.checkin import Offer, OfferedImage

COMPONENTS = [uuid.UUID(int=i) for i in (1, 2, 3)]
NOW = 1_800_000_000


def package(component: int, version: int) -> bytes:
    return f"component {component} version {version} ".encode() * 20


def offer(number: int, *versions: tuple[int, int]) -> Offer:
    """An offer of (component index, version) pairs; deployment id from ``number``."""
    images = tuple(
        OfferedImage(
            component_id=COMPONENTS[c],
            image_id=uuid.UUID(int=1000 * (c + 1) + v),
            image_type=10,
            name=f"app{c}",
            size=len(package(c, v)),
            sha256=hashlib.sha256(package(c, v)).digest(),
        )
        for c, v in versions
    )
    return Offer(offer_id=uuid.UUID(int=number << 8), deployment_id=uuid.UUID(int=number), images=images)


STORE = {uuid.UUID(int=1000 * (c + 1) + v): package(c, v) for c in range(3) for v in range(5)}
