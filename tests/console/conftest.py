# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the console's tests; siblings that are no tests are imported by name from this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from tests.api.running_service import running_service
from tests.console.console_server import RunningConsole, serve
from tests.console.hub_scene import HubScene
from tests.console.plain_browser import Served
from tests.console.rehearsed_fleet import RehearsedFleet
from tests.console.security_scene import SecurityScene
from tests.console.watched_browser import DESKTOP, Watched, chromium_browser
from tests.console.water_scene import PICTURE, WaterScene
from tests.fixtures.certificates import self_signed
from tests.fixtures.waiting import DEADLINE_S

from armillary.console.dashboards.pictures import Picture


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"), "localhost", hosts=("localhost", "127.0.0.1"))[0]


@pytest.fixture(scope="session")
def console_process(certificate: Path) -> Iterator[RunningConsole]:
    """One server for all tests; sessions of earlier tests do no harm."""
    with serve(certificate) as running:
        yield running


@pytest.fixture
def console(console_process: RunningConsole) -> RunningConsole:
    """The console over a fleet of 64 devices that is this test's own."""
    console_process.stage.fleet = RehearsedFleet()
    return console_process


@pytest.fixture
def empty_console(console_process: RunningConsole) -> RunningConsole:
    """The console of somebody who has just begun."""
    console_process.stage.fleet = RehearsedFleet(devices=0)
    return console_process


@pytest.fixture(scope="session")
def hub_scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubScene]:
    """One real service for all tests of hub devices, twins and templates; each makes what it changes."""
    with running_service(tmp_path_factory.mktemp("coolers")) as running:
        scene = HubScene(running)
        yield scene
        scene.close()


@pytest.fixture(scope="session")
def security_scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecurityScene]:
    """One real service with a feed, devices and crashes for all tests of security pages."""
    with running_service(tmp_path_factory.mktemp("kettles")) as running:
        yield SecurityScene(running)


@pytest.fixture(scope="session")
def built_water(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WaterScene]:
    """One real service with three pumps for all tests of dashboards and charts."""
    with running_service(tmp_path_factory.mktemp("water")) as running:
        scene = WaterScene(running)
        yield scene
        scene.close()


@pytest.fixture
def scene(built_water: WaterScene, monkeypatch: pytest.MonkeyPatch) -> WaterScene:
    """The pumps, with their dashboard as it was at the beginning."""
    monkeypatch.setattr("armillary.console.dashboards.pictures.find", lambda *_: Picture(PICTURE, "image/svg+xml"))
    built_water.reset()
    return built_water


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with chromium_browser() as browser:
        yield browser


@pytest.fixture
def watch(chromium: Browser) -> Iterator[Callable[..., Watched]]:
    made: list[Watched] = []

    def start(console: Served, *, allowed: tuple[str, ...] = (), **options: object) -> Watched:
        """A context that may complain of what is ``allowed``; addresses of its pages are the console's."""
        given = {"ignore_https_errors": True, "viewport": DESKTOP, "base_url": console.url, **options}
        context = chromium.new_context(**given)  # type: ignore[arg-type]
        context.set_default_timeout(DEADLINE_S * 1000)
        made.append(Watched(context, console, allowed))
        return made[-1]

    yield start
    for watched in made:
        watched.context.close()
        assert watched.foreign == [], "a request left the host"
        assert watched.complaints == [], "the browser complained"
