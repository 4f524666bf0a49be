# SPDX-License-Identifier: Apache-2.0
"""Manufacturing state and capability file on a device: what is honoured, what is refused, what follows."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from armillary.device.state import permission
from armillary.device.state.layout import DeviceFolder
from armillary.engines.flash.file import FileFlash
from armillary.errors import DeviceStateError, SignatureError, WireError
from armillary.identity.manufacturing import CAPABILITY_LIFETIME_S, ManufacturingState, permissions_of
from armillary.wire.certificates import certificate
from armillary.wire.image import capability_file

NOW = int(time.time())
BLANK, MODULE, COMPLETE = ManufacturingState
Made = tuple[FileFlash, Any, Callable[..., bytes]]


@pytest.fixture
def made(tiny_service: Any, tmp_path: Path) -> Made:
    """A device's flash and configuration, and its service's way to sign a capability file."""
    tiny_service.url = "https://127.0.0.1:1"
    configuration = tiny_service.provision(tmp_path / "device")

    def sign(*capabilities: int, device_id: str = configuration.device_id, built: int = NOW, key: Any = None) -> bytes:
        signer = (tiny_service.os_key, tiny_service.os_certificate) if key is None else key
        return capability_file.build(
            device_id, capabilities, image_id=uuid4(), built=built, key=signer[0], certificate=signer[1]
        )

    return FileFlash(DeviceFolder(tmp_path / "device").flash), configuration, sign


def test_a_file_of_the_service_for_this_device_opens_what_it_names(made: Made) -> None:
    flash, configuration, sign = made
    closed = permission.allowed_state(flash, configuration, now=NOW)
    assert (closed.state, closed.capabilities, closed.permissions.takes_deployments) == (COMPLETE, (), True)
    assert not closed.permissions.loads_by_hand
    permission.select_capability(flash, configuration, sign(capability_file.APP_DEVELOPMENT), now=NOW)
    opened = permission.allowed_state(flash, configuration, now=NOW)
    assert opened.capabilities == ("EnableCustomerAppDevelopment",)
    assert (opened.permissions.accepts_test_key, opened.permissions.takes_deployments) == (True, False)
    permission.select_capability(flash, configuration, sign(capability_file.FIELD_SERVICING), now=NOW)
    serviced = permission.allowed_state(flash, configuration, now=NOW).permissions
    assert (serviced.loads_by_hand, serviced.accepts_test_key, serviced.takes_deployments) == (True, False, True)
    permission.select_capability(flash, configuration, sign(capability_file.RF_TEST_MODE), now=NOW)
    assert permission.allowed_state(flash, configuration, now=NOW).permissions.runs_rf_tools
    permission.remove_capability(flash)
    assert permission.allowed_state(flash, configuration, now=NOW) == closed


def test_what_is_refused(made: Made, tiny_service: Any) -> None:
    flash, configuration, sign = made
    foreign = ec.generate_private_key(ec.SECP256R1())
    stranger = certificate.build_signing_certificate(
        tiny_service.root, tiny_service.root_key, foreign.public_key(), name="Stranger", serial=9, **tiny_service.life
    )
    applications = (tiny_service.image_key, tiny_service.image_certificate)
    good = sign(capability_file.APP_DEVELOPMENT)
    for data, kind in (
        (sign(capability_file.APP_DEVELOPMENT, device_id=secrets.token_hex(64)), SignatureError),
        (sign(capability_file.APP_DEVELOPMENT, key=(foreign, stranger)), SignatureError),
        (sign(capability_file.APP_DEVELOPMENT, key=applications), SignatureError),
        (sign(capability_file.APP_DEVELOPMENT, built=NOW - CAPABILITY_LIFETIME_S), DeviceStateError),
        (good[:-1] + bytes([good[-1] ^ 1]), WireError),
        (good[:80] + bytes([good[80] ^ 1]) + good[81:], WireError),
        (b"", WireError),
    ):
        with pytest.raises(kind):
            permission.select_capability(flash, configuration, data, now=NOW)
    assert flash.read(permission.CAPABILITY_REGION) is None
    permission.select_capability(flash, configuration, good, now=NOW)  # positive control


def test_a_file_in_flash_is_verified_again_whenever_it_is_read(made: Made) -> None:
    flash, configuration, sign = made
    other = sign(capability_file.APP_DEVELOPMENT, device_id=secrets.token_hex(64))
    flash.write(permission.CAPABILITY_REGION, other)
    found = permission.allowed_state(flash, configuration, now=NOW)
    assert (found.capabilities, found.permissions.accepts_test_key) == ((), False)
    assert found.refused
    permission.select_capability(flash, configuration, sign(capability_file.APP_DEVELOPMENT), now=NOW)
    assert permission.allowed_state(flash, configuration, now=NOW + CAPABILITY_LIFETIME_S - 1).capabilities
    late = permission.allowed_state(flash, configuration, now=NOW + CAPABILITY_LIFETIME_S)
    assert (late.capabilities, late.expires_at) == ((), None)
    assert "expired" in late.refused


def test_without_the_check_a_foreign_file_would_open(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: the refusals above come from this check and from nothing else."""
    flash, configuration, sign = made
    other = secrets.token_hex(64)
    flash.write(permission.CAPABILITY_REGION, sign(capability_file.APP_DEVELOPMENT, device_id=other))
    monkeypatch.setattr(permission.capability_file, "verify", lambda file, *_, **__: file)
    assert permission.allowed_state(flash, configuration, now=NOW).permissions.accepts_test_key


def test_states_only_move_forward_and_garbage_is_the_tightest(made: Made) -> None:
    flash, _, _ = made
    permission.begin_state(flash, BLANK)
    assert permission.advance_state(flash, MODULE) is MODULE
    for back in (BLANK, MODULE):
        with pytest.raises(DeviceStateError):
            permission.advance_state(flash, back)
    assert permission.advance_state(flash, COMPLETE) is COMPLETE
    for garbage in (b"", b"blank", b"Blank ", b"\xff"):
        flash.write(permission.STATE_REGION, garbage)
        assert permission.load_state(flash) is COMPLETE
    flash.remove(permission.STATE_REGION)
    assert permission.load_state(flash) is COMPLETE


def test_what_each_state_locks() -> None:
    """The whole table; nothing opens when a state moves forward."""
    for given in itertools.product([False, True], repeat=3):
        named = dict(zip(("app_development", "field_servicing", "rf_test"), given, strict=True))
        rows = [permissions_of(state, **named) for state in ManufacturingState]
        for earlier, later in itertools.pairwise(rows):
            for name in ("loads_by_hand", "accepts_test_key", "runs_rf_tools", "changes_peripherals"):
                assert getattr(earlier, name) >= getattr(later, name)
    none = {"app_development": False, "field_servicing": False, "rf_test": False}
    blank, module, complete = (permissions_of(state, **none) for state in ManufacturingState)
    assert blank.runs_rf_tools
    assert (module.runs_rf_tools, module.accepts_test_key, module.loads_by_hand) == (False, True, True)
    assert replace(complete, takes_deployments=False) == type(complete)(False, False, False, False, False)
