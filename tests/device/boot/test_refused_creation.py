# SPDX-License-Identifier: Apache-2.0
"""A device that a factory does not make: a refusal leaves nothing behind, and what may be gone on with stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.device.tiny_service import TinyService

from armillary.device.boot import provision as provisioning
from armillary.device.boot.provision import provision
from armillary.device.state.layout import CREATION, DeviceFolder
from armillary.engines.root_of_trust.software import SoftwareRootOfTrust
from armillary.errors import (
    ArmillaryError,
    ConflictError,
    OperatorError,
    RateLimitedError,
    RevokedDeviceError,
    ServiceUnreachableError,
    UnauthenticatedError,
)


def made(folder: Path, factory: Callable[[str, str], object], **more: Any) -> str:
    return provision(
        DeviceFolder(folder),
        chip="mt3620",
        root_of_trust="software",
        sandbox="process",
        operator_api="https://localhost",
        factory=factory,  # type: ignore[arg-type]
        **more,
    ).device_id


def refusing(error: ArmillaryError) -> Callable[[str, str], object]:
    def factory(*_: str) -> object:
        raise error

    return factory


@pytest.fixture
def tiny() -> TinyService:
    service = TinyService()
    service.url = "https://localhost:8444"  # nobody asks it there
    return service


REFUSALS = [UnauthenticatedError("not valid"), ConflictError("used 1 of 1 times"), RevokedDeviceError("revoked")]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("was_there", [False, True])
def test_a_refusal_leaves_the_folder_as_it_was(
    tmp_path: Path, refusal: ArmillaryError, was_there: bool, tiny: TinyService
) -> None:
    folder = tmp_path / "device"
    if was_there:
        folder.mkdir()
    with pytest.raises(type(refusal)):
        made(folder, refusing(refusal))
    assert folder.exists() == was_there
    assert not was_there or [*folder.iterdir()] == []
    assert made(folder, tiny.factory)


@pytest.mark.parametrize("unsure", [ServiceUnreachableError("no answer"), ArmillaryError("HTTP 500")])
def test_where_the_service_may_have_made_it_the_same_keys_are_asked_about_again(
    tmp_path: Path, unsure: ArmillaryError, tiny: TinyService
) -> None:
    asked: list[str] = []

    def loses_the_answer(csr: str, chip: str) -> object:
        asked.append(str(tiny.factory(csr, chip)["device_id"]))
        raise unsure

    with pytest.raises(type(unsure)):
        made(tmp_path / "device", loses_the_answer)
    with pytest.raises(UnauthenticatedError):  # the token has expired meanwhile: another one may be good
        made(tmp_path / "device", refusing(UnauthenticatedError("expired")))
    assert (tmp_path / "device" / CREATION).exists()
    assert [made(tmp_path / "device", tiny.factory)] == asked


LATER = [
    RateLimitedError("too often", retry_after_s=60),
    OperatorError("too often", code=RateLimitedError.code),  # as it comes from a service that is another process
    ArmillaryError("HTTP 503"),
    ServiceUnreachableError("no answer"),
]


@pytest.mark.parametrize(
    ("said", "gone"), [*((each, False) for each in LATER), *((each, True) for each in REFUSALS)], ids=repr
)
def test_keys_in_a_tpm_are_given_up_for_a_refusal_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: ArmillaryError, gone: bool
) -> None:
    """The service may have made a device of them, whose token is spent: no other keys would ever be let in."""
    given_up: list[str] = []

    def proof(*_: object) -> object:
        raise said

    monkeypatch.setattr(provisioning, "_has_tpm", lambda _root: True)
    monkeypatch.setattr(provisioning, "_prove_tpm", proof)
    monkeypatch.setattr(SoftwareRootOfTrust, "give_up", lambda root: given_up.append(root.device_id), raising=False)
    with pytest.raises(type(said)):
        made(tmp_path / "device", refusing(said), tpm_factory=refusing(said))
    assert bool(given_up) == gone
    assert (tmp_path / "device").exists() != gone
