# SPDX-License-Identifier: Apache-2.0
"""Whether there is an OS for the applications of a deployment: the ABI range of each against the releases in force.

A device checks the same for the bundle that it is offered. Here a deployment that could run nowhere ends before any
device hears of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sqlalchemy import Connection

from armillary.engines.records.queries import releases as release_rows
from armillary.engines.records.schema.rows import Image
from armillary.errors import InvalidArgumentError
from armillary.wire.image import package as image_package
from armillary.wire.image.application import needed_os


def check_os_fit(
    connection: Connection, chips: Iterable[str], images: Sequence[Image], read: Callable[[bytes], bytes], *, now: int
) -> None:
    """Check ``images`` for devices of these chips; ``read`` gives the package of a SHA-256, ``now`` is Unix seconds.

    Raises:
        InvalidArgumentError: no release of a chip that is in force at ``now`` has an ABI number that an image asks for.
    """
    needs = [(image, needed_os(image_package.parse(read(image.sha256)))) for image in images]
    ranged = [(image, needed) for image, needed in needs if needed is not None]
    if not ranged:
        return
    releases = [
        one
        for one in release_rows.every(connection)
        if one.withdrawn_at is None and (one.expires_at is None or now < one.expires_at)
    ]
    for chip in chips:
        there = sorted({one.os_abi for one in releases if one.chip == chip and one.os_abi})
        for image, needed in ranged:
            if not any(abi in needed for abi in there):
                raise InvalidArgumentError(
                    f"image {image.name} works on OS ABI {needed}: the releases for {chip} have "
                    f"{', '.join(map(str, there)) or 'none'}",
                    remedy="Publish a release with this ABI first, or build the application for one that is there.",
                )
