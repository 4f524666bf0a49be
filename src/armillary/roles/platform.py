# SPDX-License-Identifier: Apache-2.0
"""The application platform joined to its hub; neither needs the service or the API, and nothing of these is loaded."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from armillary.hub.hub import Hub
from armillary.platform.platform import Platform
from armillary.platform.ports import Directory, Registry, Updates
from armillary.platform.rules.actions import ActionSettings


def platform_of(
    hub: Hub,
    folder: Path,
    *,
    directory: Directory | None = None,
    updates: Updates | None = None,
    registry: Registry | None = None,
    settings: ActionSettings | None = None,
    clock: Callable[[], float] = time.time,
) -> Platform:
    """The application platform of a hub that has not started, so that it gets the first message that the hub receives.

    Closing the hub closes the platform's stores, after the last message and before the hub's own. Arguments are as of
    :class:`Platform`.

    Raises:
        DataFolderError: the documents cannot be opened.
    """
    platform = Platform(
        folder, hub.series, hub, directory=directory, updates=updates, registry=registry, settings=settings, clock=clock
    )
    notices = hub.notices
    notices.on_message += [platform.rules.measured, platform.models.measured]
    notices.on_historical.append(platform.models.measured)
    notices.on_slice.append(platform.rules.settle)
    notices.on_twin.append(platform.rules.device_changed)
    notices.on_model.append(platform.device_templates.announced)
    notices.on_end.append(platform.close_stores)
    return platform
