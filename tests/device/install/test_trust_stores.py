# SPDX-License-Identifier: Apache-2.0
"""Which keys are in force: those of a new trust store while it is on trial, for good once it is confirmed."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from tests.device.cut_flash import CutFlash
from tests.fixtures.images import P384, pair

from armillary.device.install.trust_stores import (
    Signers,
    accept_stores,
    adopt_stores,
    configuration_in_force,
    keep_confirmed,
    signers_after,
    trusted,
)
from armillary.device.state.configuration import (
    DeviceConfiguration,
    decode_configuration,
    encode_configuration,
    load_configuration,
    store_configuration,
)
from armillary.errors import InstallError
from armillary.update.install import steps
from armillary.update.install.plan import InstallPlan, StagedImage
from armillary.update.install.record import InstallRecord, OsVersion, SlotImage, Trial
from armillary.wire.device.checkin import OfferedImage
from armillary.wire.encoding import cbor
from armillary.wire.image import package as image_package
from armillary.wire.update.trust_store import (
    CertificateStore,
    KeyStore,
    encode_certificate_store,
    encode_key_store,
    trusted_digest,
)

OLD, NEW, OTHER = pair(ec.SECP256R1(), 21), pair(ec.SECP256R1(), 22), pair(ec.SECP256R1(), 23)


def pem(*certificates: Any) -> tuple[str, ...]:
    return tuple(certificate.public_bytes(Encoding.PEM).decode() for certificate in certificates)


CONFIGURATION = DeviceConfiguration(
    device_id="ab" * 64,
    chip="mt3620",
    root_of_trust="software",
    sandbox="process",
    os_version="26.11",
    identity_certificate=pem(P384[1]),
    service_root=pem(P384[1])[0],
    trusted_os_certificates=pem(OLD[1]),
    trusted_image_certificates=pem(OLD[1]),
    device_endpoint="https://127.0.0.1:1",
    service_name="test",
    operator_api="https://127.0.0.1:2",
)


def store_package(payload: bytes, image_type: int, signer: Any = OLD) -> tuple[SlotImage, bytes]:
    component, image_id = uuid.UUID(int=image_type), uuid.uuid4()
    sections = image_package.standard_sections(
        image_type=image_type, component_id=component, image_id=image_id, name="trust", built=0
    )
    data = image_package.build(payload, sections=sections, key=signer[0], certificate=signer[1])
    return SlotImage(component, image_id, image_type, "trust", "a", len(data), sha256(data).digest()), data


def key_store(signer: Any = OLD, os: Any = NEW, images: Any = NEW) -> tuple[SlotImage, bytes]:
    return store_package(encode_key_store(KeyStore(os_signers=(os[1],), image_signers=(images[1],))), 19, signer)


def device(*stores: tuple[SlotImage, bytes], on_trial: bool = True) -> tuple[CutFlash, InstallRecord]:
    flash = CutFlash({image.region: data for image, data in stores})
    store_configuration(flash, replace(CONFIGURATION, accepted_stores=tuple(str(one.image_id) for one, _ in stores)))
    trial = Trial(uuid.UUID(int=1), uuid.UUID(int=2), (), 3) if on_trial else None
    active = tuple(image for image, _ in stores)
    return flash, InstallRecord(active=active, trial=trial, os=OsVersion("26.12", 3))


def in_force(flash: CutFlash, record: InstallRecord) -> DeviceConfiguration:
    return configuration_in_force(flash, record, load_configuration(flash))


def test_a_store_on_trial_is_in_force_and_goes_with_its_trial() -> None:
    flash, record = device(key_store())
    found = in_force(flash, record)
    assert found.trusted_os_certificates == found.trusted_image_certificates == pem(NEW[1])
    assert found.os_version == "26.12"
    before = load_configuration(flash)
    keep_confirmed(flash, record)
    assert load_configuration(flash) == before, "nothing is kept of what is on trial"
    reverted = steps.revert(record, reason="", now=0)
    assert in_force(flash, reverted) == before
    keep_confirmed(flash, reverted)
    assert in_force(flash, replace(record, trial=None)) == replace(CONFIGURATION, os_version="26.12"), (
        "it comes no more"
    )


def test_a_confirmed_store_is_the_configurations_for_good_and_signs_the_next() -> None:
    flash, record = device(key_store(), on_trial=False)
    keep_confirmed(flash, record)
    kept = load_configuration(flash)
    assert kept.trusted_os_certificates == pem(NEW[1])
    assert kept.os_version == "26.11", "the version of the OS is the record's"
    assert kept.accepted_stores == ()
    image, data = key_store(signer=NEW, os=OTHER, images=OTHER)
    flash.durable[image.region] = data
    accept_stores(flash, record, plan_of((image, data))[0])
    assert in_force(flash, replace(record, active=(image,))).trusted_os_certificates == pem(OTHER[1])


def test_a_confirmed_store_does_not_undo_what_the_service_renewed_since() -> None:
    roots = store_package(encode_certificate_store(CertificateStore((NEW[1],))), 22)
    flash, record = device(roots, on_trial=False)
    keep_confirmed(flash, record)
    renewed = replace(load_configuration(flash), service_root=pem(NEW[1], OTHER[1])[0] + pem(OTHER[1])[0])
    store_configuration(flash, renewed)
    assert in_force(flash, record).service_root == renewed.service_root


def test_a_store_on_trial_signs_no_other_store() -> None:
    """Else a stolen next key would bring roots of its own before the store that names it has proven itself."""
    roots = encode_certificate_store(CertificateStore((OTHER[1],)))
    for signer, service_root in ((NEW, CONFIGURATION.service_root), (OLD, pem(OTHER[1])[0])):
        found = in_force(*device(key_store(), store_package(roots, 22, signer)))
        assert (found.trusted_os_certificates, found.service_root) == (pem(NEW[1]), service_root)


def test_a_certificate_store_replaces_the_roots_of_the_service() -> None:
    flash, record = device(store_package(encode_certificate_store(CertificateStore((NEW[1], OTHER[1]))), 22))
    assert in_force(flash, record).service_root == "".join(pem(NEW[1], OTHER[1]))


@pytest.mark.parametrize("fault", ["signer", "damage", "gone", "type", "another"])
def test_a_store_that_nobody_trusted_signed_or_that_is_damaged_counts_for_nothing(fault: str) -> None:
    image, data = key_store(signer=OTHER if fault == "signer" else OLD)
    flash, record = device((image, data))
    if fault == "damage":
        flash.durable[image.region] = data[:40] + bytes([data[40] ^ 1]) + data[41:]
    elif fault == "gone":
        del flash.durable[image.region]
    elif fault == "another":
        flash.durable[image.region] = key_store()[1]
    elif fault == "type":
        record = replace(record, active=(replace(image, image_type=22),))
        flash.durable[record.active[0].region] = data
    assert replace(in_force(flash, record), os_version="26.11", accepted_stores=()) == CONFIGURATION


def test_a_store_that_the_device_did_not_take_from_its_service_is_not_obeyed() -> None:
    """It is rightly signed, and older than the device: the maker has taken its image key out of service since."""
    image, data = key_store(os=OLD, images=OTHER)
    flash, record = device((image, data), on_trial=False)
    assert in_force(flash, record).trusted_image_certificates == pem(OTHER[1])  # the control: as if it had
    store_configuration(flash, CONFIGURATION)
    for named in (record, replace(record, trial=Trial(uuid.UUID(int=1), uuid.UUID(int=2), (), 3))):
        assert in_force(flash, named) == replace(CONFIGURATION, os_version="26.12")
        keep_confirmed(flash, named)
        assert load_configuration(flash) == CONFIGURATION


def test_a_store_that_waits_is_not_forgotten_for_another_one() -> None:
    """One of another kind comes while a confirmed one is not the configuration's yet; one that was taken back goes."""
    keys, roots = key_store(), store_package(encode_certificate_store(CertificateStore((OTHER[1],))), 22)
    taken_back = key_store(images=OTHER)
    flash, record = device(keys, taken_back, on_trial=False)
    record = replace(record, active=(keys[0],))
    accept_stores(flash, record, plan_of(roots)[0])
    assert load_configuration(flash).accepted_stores == (str(keys[0].image_id), str(roots[0].image_id))


def test_a_store_that_cannot_be_read_now_is_obeyed_once_it_can() -> None:
    image, data = key_store()
    flash, record = device((image, data), on_trial=False)
    flash.durable[image.region] = b""
    keep_confirmed(flash, record)
    flash.durable[image.region] = data
    assert in_force(flash, record).trusted_os_certificates == pem(NEW[1])


def test_a_device_of_before_accepts_what_its_record_names_once() -> None:
    now, later = key_store(), key_store(os=OLD, images=OTHER)
    flash, record = device(now, later, on_trial=False)
    of_before = replace(CONFIGURATION, accepted_stores=None)
    store_configuration(flash, of_before)
    record = replace(record, active=(now[0],))
    for _ in range(2):  # the second time with the configuration of before the first
        stored = adopt_stores(flash, record, of_before)
        assert stored == load_configuration(flash)
        assert stored.accepted_stores == (str(now[0].image_id),)
    flash.durable[now[0].region] = now[1]
    assert in_force(flash, record).trusted_os_certificates == pem(NEW[1])
    another = replace(record, active=(later[0],))
    assert adopt_stores(flash, another, load_configuration(flash)) == stored
    flash.durable[later[0].region] = later[1]
    assert in_force(flash, another).trusted_image_certificates == pem(OLD[1])


def test_what_a_device_of_before_accepts_is_kept_once_its_trial_is_over() -> None:
    """Whichever way it ends; until then both its stores are accepted."""
    now, before = key_store(), key_store(images=OTHER)
    before = (replace(before[0], slot="b"), before[1])
    flash, record = device(now, before)
    of_before = replace(CONFIGURATION, accepted_stores=None)
    store_configuration(flash, of_before)
    assert record.trial is not None
    record = replace(record, active=(now[0],), trial=replace(record.trial, previous=(before[0],)))
    for _ in range(2):
        adopted = adopt_stores(flash, record, of_before)
        assert adopted.accepted_stores == (str(now[0].image_id), str(before[0].image_id))
        assert configuration_in_force(flash, record, adopted).trusted_image_certificates == pem(NEW[1])
        keep_confirmed(flash, record)
        assert load_configuration(flash) == of_before
    reverted = steps.revert(record, reason="", now=0)
    assert adopt_stores(flash, reverted, of_before).accepted_stores == (str(before[0].image_id),)
    store_configuration(flash, of_before)
    keep_confirmed(flash, steps.confirm(record, now=0))
    kept = load_configuration(flash)
    assert (kept.trust_stores, kept.accepted_stores) == ((str(now[0].image_id),), ())


def test_a_version_of_before_reads_a_configuration_with_accepted_stores() -> None:
    """It may be the way back; it takes no field that it does not know, and what it writes is one of before."""
    accepting = replace(CONFIGURATION, trust_stores=("one",), accepted_stores=("two", "three"))
    for configuration in (CONFIGURATION, accepting, replace(accepting, accepted_stores=None)):
        encoded = encode_configuration(configuration)
        assert decode_configuration(encoded) == configuration
        fields = cbor.decode(encoded, what="configuration", limit=len(encoded))
        assert set(fields) == {each.name for each in dataclasses.fields(CONFIGURATION)} - {"accepted_stores"} | {
            "version"
        }
    bare = cbor.decode(encode_configuration(CONFIGURATION), what="configuration", limit=1 << 20)
    del bare["trust_stores"]
    assert decode_configuration(cbor.encode(bare)).accepted_stores is None


def test_what_a_device_trusts_has_one_digest_however_it_came_to_it() -> None:
    made = replace(CONFIGURATION, trusted_os_certificates=pem(OLD[1], NEW[1]))
    both = KeyStore(os_signers=(NEW[1], OLD[1]), image_signers=(OLD[1],))
    assert trusted(made) == (trusted_digest(both), trusted_digest(CertificateStore((P384[1],))))
    flash, record = device(store_package(encode_key_store(both), 19))
    assert trusted(in_force(flash, record)) == trusted(made), "made with it, or renewed to it"
    for other in (
        CONFIGURATION,
        replace(made, trusted_image_certificates=pem(NEW[1])),
        replace(made, service_root=pem(OTHER[1])[0]),
        replace(made, trusted_os_certificates=pem(OLD[1]), trusted_image_certificates=pem(OLD[1], NEW[1])),
    ):
        assert trusted(other) != trusted(made)


def plan_of(*stores: tuple[SlotImage, bytes]) -> tuple[InstallPlan, Mapping[uuid.UUID, bytes]]:
    staged = tuple(
        StagedImage(
            OfferedImage(
                component_id=image.component_id,
                image_id=image.image_id,
                image_type=image.image_type,
                name=image.name,
                size=image.size,
                sha256=image.sha256,
            ),
            image,
        )
        for image, _ in stores
    )
    images = tuple(image for image, _ in stores)
    plan = InstallPlan(uuid.UUID(int=1), uuid.UUID(int=2), staged, (), images, OsVersion())
    return plan, {image.image_id: data for image, data in stores}


def test_the_rest_of_a_bundle_is_checked_by_the_keys_of_its_store() -> None:
    present = Signers(os=(OLD[1],), images=(OLD[1],))
    assert signers_after(*plan_of(key_store(os=NEW, images=OTHER)), present) == Signers(
        os=(NEW[1],), images=(OTHER[1],)
    )
    assert signers_after(*plan_of(), present) == present


def test_a_bundle_cannot_bring_a_store_that_its_own_store_signs() -> None:
    present = Signers(os=(OLD[1],), images=(OLD[1],))
    roots = store_package(encode_certificate_store(CertificateStore((NEW[1],))), 22, signer=NEW)
    with pytest.raises(InstallError, match="no trust store that this device takes"):
        signers_after(*plan_of(key_store(), roots), present)
    with pytest.raises(InstallError, match="no trust store that this device takes"):
        signers_after(*plan_of(key_store(signer=OTHER)), present)
