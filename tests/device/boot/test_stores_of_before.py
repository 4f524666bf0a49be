# SPDX-License-Identifier: Apache-2.0
"""A device of a version that kept not which trust stores it accepts, with this one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.device.rig import Rig
from tests.fixtures.waiting import until

from armillary.device.boot import startup
from armillary.device.checkin import checkin
from armillary.device.install import installer
from armillary.device.state.configuration import load_configuration, store_configuration
from armillary.engines.flash.file import FileFlash
from armillary.update.install.record import InstallRecord
from armillary.wire.certificates import certificate
from armillary.wire.update.trust_store import KeyStore, encode_key_store

pytestmark = pytest.mark.anyio


def flash_of(rig: Rig) -> FileFlash:
    return FileFlash(rig.folder / "flash")


@pytest.fixture
def of_before(rig: Rig) -> Rig:
    store_configuration(flash_of(rig), replace(load_configuration(flash_of(rig)), accepted_stores=None))
    return rig


async def test_a_device_of_before_keeps_at_its_first_start_which_trust_stores_it_accepts(of_before: Rig) -> None:
    """From then on a record from outside names none that it obeys (``install/test_trust_stores.py``)."""
    await of_before.start()
    await until(lambda: of_before.service.checks, "it goes on")
    assert load_configuration(flash_of(of_before)).accepted_stores == ()


@pytest.fixture
def first_os_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """The OS that a device was made with keeps nothing of what it accepts, and brings all others."""

    def newer(name: str, module: Any, where: int) -> None:
        does: Callable[..., Any] = getattr(module, name)

        def of_version(*given: Any) -> Any:
            record: InstallRecord = given[1]
            return does(*given) if record.os.version else given[where] if where else None

        monkeypatch.setattr(module, name, of_version)

    newer("adopt_stores", startup, 2)
    newer("keep_confirmed", checkin, 0)
    newer("accept_stores", installer, 0)


@pytest.mark.usefixtures("first_os_of_before")
async def test_a_device_that_went_back_to_a_version_of_before_takes_an_os_with_its_trust_store(of_before: Rig) -> None:
    """It ran this version once, on trial; the one before knows nothing of what is accepted, and this one obeys."""
    rig, service = of_before, of_before.service
    await rig.start()
    service.deploy_os("26.12", good=False)
    await until(lambda: "reverted" in {found for _, found in rig.outcomes()}, "not attested, it is taken back")
    assert "26.12" in {judged.evidence.os_version for _, judged in service.checks}, "it ran"
    assert load_configuration(flash_of(rig)).accepted_stores is None
    next_key = ec.generate_private_key(ec.SECP256R1())
    following = certificate.build_signing_certificate(
        service.root, service.root_key, next_key.public_key(), name="Next", serial=9, **service.life
    )
    content = KeyStore(os_signers=(service.os_certificate,), image_signers=(service.image_certificate, following))
    store = service.trust_store(encode_key_store(content), (service.os_key, service.os_certificate))
    service.deploy_os("26.13", store)
    assert rig.device is not None
    rig.device.check_in_now()
    await until(lambda: "confirmed" in {found for _, found in rig.outcomes()}, "the newer one with its store")
    await until(lambda: len(load_configuration(flash_of(rig)).trusted_image_certificates) == 2, "the store is obeyed")
    kept = load_configuration(flash_of(rig))
    assert (kept.trust_stores, kept.accepted_stores) == ((str(store.image_id),), ())
