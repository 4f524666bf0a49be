# SPDX-License-Identifier: Apache-2.0
"""A device that a factory does not make: a refusal leaves nothing behind, and what may be gone on with stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.device.tiny_service import TinyService

from armillary.device.boot.provision import provision
from armillary.device.state.layout import CREATION, DeviceFolder
from armillary.errors import (
    ArmillaryError,
    ConflictError,
    RevokedDeviceError,
    ServiceUnreachableError,
    UnauthenticatedError,
)


def made(folder: Path, factory: Callable[[str, str], object]) -> str:
    return provision(
        DeviceFolder(folder),
        chip="mt3620",
        root_of_trust="software",
        sandbox="process",
        operator_api="https://localhost",
        factory=factory,  # type: ignore[arg-type]
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
