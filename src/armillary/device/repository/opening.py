# SPDX-License-Identifier: Apache-2.0
"""Joins the parts of a device's update repository. Loads the ``tuf`` package: import it where it is needed first."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import aiohttp

from armillary.device.network.proxy import FindProxy, no_proxy
from armillary.device.repository.artifacts import Artifacts
from armillary.device.repository.repository import DeviceRepository
from armillary.device.repository.source import HttpSource
from armillary.device.repository.sources import Sources
from armillary.device.state.clock import DeviceClock
from armillary.device.state.journal import Journal
from armillary.engines.flash.port import Flash
from armillary.update.repository.pace import DEFAULT_PACE, PaceRules

OWN = "the service"
_FOLDER = "/v1/repository/"


def open_repository(
    service: str,
    service_session: Callable[[], aiohttp.ClientSession],
    mirrors: Sequence[str],
    mirror_session: aiohttp.ClientSession,
    *,
    flash: Flash,
    folder: Path,
    clock: DeviceClock,
    journal: Journal,
    pace: PaceRules = DEFAULT_PACE,
    proxy: FindProxy = no_proxy,
) -> DeviceRepository:
    """The repository behind the device endpoint at ``service`` (``https://host:port``) and behind ``mirrors``.

    ``service_session`` gives the session of the pinned connection; a mirror is the address of the folder that holds
    ``metadata/``. ``folder`` is where the flash is: its file system says how much room there is.
    """

    def refused(source: str, reason: str) -> None:
        journal.write("source-refused", source=source, reason=reason)

    def source(name: str, url: str, session: Callable[[], aiohttp.ClientSession]) -> HttpSource:
        return HttpSource(name, url, session, monotonic=clock.monotonic, pace=pace, proxy=proxy)

    own = source(OWN, service + _FOLDER, service_session)
    others = [source(url, url, lambda: mirror_session) for url in mirrors]
    sources = Sources(own, others, refused)
    artifacts = Artifacts(flash, sources, lambda: shutil.disk_usage(folder).free)
    return DeviceRepository(flash, clock, own=own, sources=sources, artifacts=artifacts)
