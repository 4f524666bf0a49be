# SPDX-License-Identifier: Apache-2.0
"""A device takes a directive when director and repository agree, and nothing that either says alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.device.cut_flash import CutFlash
from tests.device.repository.device_side import Network, play
from tests.device.repository.directed_device import (
    APP,
    APP_IMAGE,
    KERNEL,
    KERNEL_IMAGE,
    OFFER,
    DirectedDevice,
    directive,
    repository,
)
from tests.fixtures.static_server import StaticServer
from tests.fixtures.tuf_repository import NOW, TufRepository

from armillary.errors import (
    DataFolderError,
    DirectiveError,
    MismatchError,
    RepositoryError,
    SignatureError,
    TargetNotFoundError,
    TransferError,
    WireError,
)


def story(act: Callable[[DirectedDevice], Awaitable[Any]], made: TufRepository | None = None, **options: Any) -> Any:
    server = StaticServer((made or repository()).files)

    async def play_it(net: Network) -> Any:
        return await act(DirectedDevice(net, server, **options))

    return play(play_it, server)


@pytest.mark.parametrize("damage", ["not there", "noise", "empty", "not signed", "not read"])
def test_a_root_that_is_damaged_is_asked_for_again_as_a_missing_one(
    damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next roots are followed from there; what else is trusted stays, so that nothing older is taken."""
    made = repository()
    region = "repository/root.json"

    async def act(device: DirectedDevice) -> None:
        await device.take(directive())
        whole = device.flash.durable[region]
        if damage == "not there":
            del device.flash.durable[region]
        elif damage == "not read":
            read = CutFlash.read

            def fails(flash: CutFlash, name: str) -> bytes | None:
                if name == region and flash.durable[name] == whole + b" ":
                    raise DataFolderError(f"{name}: Input/output error")
                return read(flash, name)

            device.flash.durable[region] = whole + b" "
            monkeypatch.setattr(CutFlash, "read", fails)
        else:
            found = {"noise": b"\xff\x00noise", "empty": b"", "not signed": whole.replace(b"sig", b"gis")}[damage]
            device.flash.durable[region] = found
        await device.take(directive(version=2))
        assert device.flash.durable[region] == whole

    story(act, made)


def test_a_directive_is_taken_and_its_images_are_fetched():
    async def act(device: DirectedDevice) -> None:
        assert (device.directives.version, device.opened) == (0, 0)
        directed = await device.take(directive())
        assert directed.offer == OFFER
        directed.check_room((KERNEL_IMAGE, APP_IMAGE))
        assert await directed.fetch(KERNEL_IMAGE) == KERNEL
        assert await directed.fetch(APP_IMAGE) == APP
        assert device.started().version == 1  # after a restart as well
        assert (await device.take(directive())).offer == OFFER  # the same one comes again until it is installed
        assert device.opened == 1

    story(act)


REFUSED: list[tuple[str, dict[str, Any], type[Exception]]] = [
    ("another device's", {"device_id": "cd" * 64}, DirectiveError),
    ("another chip's", {"hardware": "imx8mp"}, DirectiveError),
    ("one that is over", {"issued_at": 1, "expires_at": NOW}, DirectiveError),
    ("a stranger's", {"key": 51}, SignatureError),
    ("a stranger's under the director's name", {"key": 51, "as_key": 50}, SignatureError),
    ("one by the key of another role", {"key": 20}, SignatureError),
    ("another release's", {"offer": replace(OFFER, os_version="26.10")}, TargetNotFoundError),
]


@pytest.mark.parametrize(("changes", "error"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_directive_is_refused_and_leaves_nothing(changes: dict[str, Any], error: type[Exception]):
    async def act(device: DirectedDevice) -> None:
        with pytest.raises(error):
            await device.take(directive(**changes))
        assert device.directives.version == 0

    story(act)


@pytest.mark.parametrize(
    "change", [{"sha256": bytes(32)}, {"size": 1}, {"image_id": OFFER.offer_id}, {"image_type": 13, "name": "x"}]
)
def test_an_image_that_the_repository_does_not_vouch_for_is_refused(change: dict[str, Any]):
    """The director's key alone makes nothing installable."""

    async def act(device: DirectedDevice) -> None:
        offer = replace(OFFER, images=(KERNEL_IMAGE, replace(APP_IMAGE, **change)))
        with pytest.raises((MismatchError, TargetNotFoundError)):
            await device.take(directive(offer=offer))
        assert device.directives.version == 0

    story(act)


def test_an_older_directive_is_refused_after_a_restart_as_well():
    async def act(device: DirectedDevice) -> None:
        await device.take(directive(version=5))
        device.directives = device.started()
        with pytest.raises(DirectiveError, match="expected version 5 or later, got version 4"):
            await device.take(directive(version=4))

    story(act)


def test_a_version_that_flash_lost_is_no_version():
    async def act(device: DirectedDevice) -> None:
        await device.take(directive())
        device.flash.durable["repository/directive-version"] = b"\0"
        with pytest.raises(RepositoryError, match="expected 8 bytes, got 1"):
            await device.take(directive(version=2))

    story(act)


def test_without_the_services_time_nothing_is_taken():
    async def act(device: DirectedDevice) -> None:
        with pytest.raises(RepositoryError, match="has not given this device the time"):
            await device.take(directive())

    story(act, signed=None)


def test_a_service_without_a_repository_is_told_apart():
    async def act(device: DirectedDevice) -> None:
        with pytest.raises(TransferError, match="no update repository"):
            await device.take(directive())

    made = repository()
    made.files.clear()
    story(act, made)


def test_bytes_that_are_no_directive_ask_nobody():
    async def act(device: DirectedDevice) -> None:
        with pytest.raises(WireError):
            await device.take(b"\x00")
        assert device.opened == 0

    story(act)


def test_a_director_whose_key_was_taken_away_is_nobody():
    made = repository()
    delegations = made.roles["targets"].delegations
    assert delegations is not None
    assert delegations.roles is not None
    del delegations.roles["director"]
    made.publish("targets")

    async def act(device: DirectedDevice) -> None:
        with pytest.raises(SignatureError, match="expected a key of the role director"):
            await device.take(directive())

    story(act, made)


def test_the_first_root_comes_from_the_service_alone_and_stays():
    made = repository()

    async def act(device: DirectedDevice) -> None:
        await device.take(directive())
        made.files["metadata/1.root.json"] = TufRepository().files["metadata/1.root.json"]
        device.directives = device.started()
        await device.take(directive())
        assert device.flash.durable["repository/root.json"] == made.first_root

    story(act, made)


def test_a_mirror_gives_no_device_its_first_root():
    made, other = repository(), TufRepository(expires=NOW + 9 * 86_400)
    own, mirror = StaticServer(made.files), StaticServer(other.files)

    async def act(net: Network) -> None:
        device = DirectedDevice(net, own, mirror)
        await device.take(directive())
        assert device.flash.durable["repository/root.json"] == made.first_root != other.first_root
        assert "metadata/1.root.json" not in [path for path, _ in mirror.asked]

    play(act, own, mirror)


def test_a_device_at_rest_does_not_load_the_tuf_package():
    program = (
        "import sys, armillary.device.process, armillary.device.repository.directives; "
        "sys.exit(any(name.partition('.')[0] in ('tuf', 'securesystemslib') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0
