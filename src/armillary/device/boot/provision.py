# SPDX-License-Identifier: Apache-2.0
"""Provisions a device: its secret, its identity, and what the factory gives it.

Order, so that a creation that was cut short is never taken for a device: folder, note of the options, root of trust,
factory, boot components, configuration, and last the mark in ``layout.json``. Cut short anywhere, it is continued by
the same call: the secret that is there is used again, so the service sees the same device and not a second one.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from cryptography.x509 import load_pem_x509_certificate, load_pem_x509_certificates

from armillary.device.boot.flashed_os import FlashedComponent, FlashedOs, complete_slots
from armillary.device.state.configuration import DeviceConfiguration, store_configuration
from armillary.device.state.layout import DeviceFolder
from armillary.device.state.metadata_store import FlashMetadata
from armillary.device.state.permission import begin_state
from armillary.engines.durable import not_writable
from armillary.engines.flash.file import FileFlash
from armillary.engines.flash.port import Flash, replace_region
from armillary.engines.root_of_trust.port import RootOfTrust
from armillary.engines.root_of_trust.selection import create_root_of_trust, open_root_of_trust
from armillary.errors import (
    ArmillaryError,
    DeviceFault,
    OperatorError,
    QuotaExceededError,
    RateLimitedError,
    RootOfTrustError,
    ServiceUnreachableError,
)
from armillary.identity.manufacturing import ManufacturingState
from armillary.update.install.component import SLOTS, os_region

if TYPE_CHECKING:
    from armillary.engines.flash.os_disk import OsDisk
    from armillary.engines.root_of_trust.tpm2 import Tpm2RootOfTrust

ROOT: Final = "root"
LED_TO: Final = ("timestamp", "snapshot", "targets")  # roles that a root leads to

# (certificate request as PEM text, chip) -> the factory route's JSON answer. The command line gives one that
# calls POST /api/v1/factory/devices; a simulator gives its own.
Factory = Callable[[str, str], Mapping[str, Any]]
# (route under /factory, body) -> JSON answer, for a device with a TPM: it needs a question and an answer.
TpmFactory = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]
# The service, which may be another process, says no more with these than that it has no time now.
_LATER: Final = frozenset({RateLimitedError.code, QuotaExceededError.code})


@dataclass(frozen=True, slots=True, kw_only=True)
class FactoryReply:
    """A checked answer of the factory; certificates are PEM, the identity certificate's chain leaf first.

    ``boot_components`` is component name -> package. A device with a flashed disk has payloads of ``payload_bytes``
    already, and its packages are what follows them. ``device_endpoint`` is ``https://host:port``, and evidence is made
    for ``service_name``. ``repository_root`` is TUF root metadata; empty from a service without a repository. ``time``
    is the service's, Unix seconds UTC; 0 from a service of before it said so.
    """

    device_id: str
    identity_certificate: tuple[str, ...]
    service_root: str
    trusted_os_certificates: tuple[str, ...]
    trusted_image_certificates: tuple[str, ...]
    os_version: str
    boot_components: tuple[tuple[str, bytes], ...] = field(repr=False)
    payload_bytes: Mapping[str, int] = field(default_factory=dict)
    device_endpoint: str
    service_name: str
    repository_root: str = field(default="", repr=False)
    time: int = 0


@contextlib.contextmanager
def _written(folder: DeviceFolder) -> Iterator[None]:
    """What the operating system refuses meanwhile, such as on a full disk, is an error that names the folder."""
    try:
        yield
    except OSError as error:
        raise not_writable(folder.root, error) from error


def provision(
    folder: DeviceFolder,
    *,
    chip: str,
    root_of_trust: str,
    sandbox: str,
    operator_api: str,
    factory: Factory,
    tpm: str | None = None,
    tpm_factory: TpmFactory | None = None,
    state: ManufacturingState = ManufacturingState.DEVICE_COMPLETE,
    disk: OsDisk | None = None,
    begins_anew: bool = False,
) -> DeviceConfiguration:
    """Make a device in an empty folder, or continue a creation that was cut short there.

    ``root_of_trust`` and ``sandbox`` name engines. For the root of trust ``tpm2``, ``tpm`` says how to reach the TPM
    (the kernel's by default), and ``tpm_factory`` answers its proof: without one the device is enrolled as without TPM.
    ``operator_api`` is kept for a recovery (``recovery.py``); ``state`` has to be what the factory records. A device
    whose OS is on a ``disk`` keeps that one, and gets the factory's metadata and signature of it. ``begins_anew``: a
    creation that was cut short with other options is forgotten, for who cannot choose another folder.

    Raises:
        DataFolderError: the folder is not empty or not writable, a creation with other options began there, or the OS
            on the disk is not the factory's.
        ServiceUnreachableError: the factory's answer is not of the protocol.
        OperatorError, DeviceFault: the factory refuses; nothing of the creation stays, unless an earlier try began it.
    """
    with folder.made_for_good(), _written(folder), folder.hold():
        options = {"chip": chip, "root_of_trust": root_of_trust, "sandbox": sandbox, "tpm": tpm, "state": state.value}
        if begins_anew:
            _forget_other_creation(folder, options)
        is_continued = folder.begin_creation(options)
        root = _root_of_trust(folder, root_of_trust, tpm, is_continued=is_continued)
        with _forgotten_if_refused(folder, root, is_continued=is_continued):
            if tpm_factory is not None and _has_tpm(root):
                reply = parse_reply(_prove_tpm(root, chip, tpm_factory))
            else:
                reply = parse_reply(factory(root.certificate_request().decode("ascii"), chip))
        if reply.device_id != root.device_id:
            raise ServiceUnreachableError(
                f"the factory answered for device {reply.device_id[:8]}, expected {root.device_id[:8]}",
                remedy="Check that the address is an Armillary service.",
            )
        flash = FileFlash(folder.flash)
        if disk is None:
            store_boot_components(flash, reply.boot_components)
        else:
            trusted = [load_pem_x509_certificate(each.encode("ascii")) for each in reply.trusted_os_certificates]
            complete_slots(disk.flash(flash), _flashed_os(reply), trusted)
        trust_repository(flash, reply.repository_root)
        configuration = DeviceConfiguration(
            device_id=reply.device_id,
            chip=chip,
            root_of_trust=root_of_trust,
            sandbox=sandbox,
            os_version=reply.os_version,
            identity_certificate=reply.identity_certificate,
            service_root=reply.service_root,
            trusted_os_certificates=reply.trusted_os_certificates,
            trusted_image_certificates=reply.trusted_image_certificates,
            device_endpoint=reply.device_endpoint,
            service_name=reply.service_name,
            operator_api=operator_api,
        )
        begin_state(flash, state)
        store_configuration(flash, configuration)
        folder.finish_creation()
    return configuration


@contextlib.contextmanager
def _forgotten_if_refused(folder: DeviceFolder, root: RootOfTrust, *, is_continued: bool) -> Iterator[None]:
    """Leave nothing of a creation that the service refuses.

    Whatever is no clear refusal stays, for the service may have made the device and its answer was lost: these keys are
    asked about again. So do keys in a file that an earlier try asked about.
    """
    try:
        yield
    except (OperatorError, DeviceFault) as error:
        if error.code in _LATER:
            raise
        if _has_tpm(root):
            root.give_up()
        elif is_continued:
            raise
        folder.forget_creation()
        raise


def _forget_other_creation(folder: DeviceFolder, options: Mapping[str, object]) -> None:
    earlier = folder.begun_with()
    if earlier is None or earlier == options:
        return
    with contextlib.suppress(ArmillaryError):  # it came to no keys, or their TPM is gone
        root = open_root_of_trust(str(earlier.get("root_of_trust")), folder.root_of_trust)
        if _has_tpm(root):
            root.give_up()
    folder.forget_creation()


def _root_of_trust(folder: DeviceFolder, engine: str, tpm: str | None, *, is_continued: bool) -> RootOfTrust:
    """The secret of an earlier creation that was cut short, else a new one."""
    if is_continued:
        # It was cut short before there was a whole secret: create overwrites a part, and refuses to overwrite a whole.
        with contextlib.suppress(RootOfTrustError):
            return open_root_of_trust(engine, folder.root_of_trust)
    return create_root_of_trust(engine, folder.root_of_trust, tpm=tpm)


def _has_tpm(root: RootOfTrust) -> TypeGuard[Tpm2RootOfTrust]:
    return root.kind == "tpm2"


def _prove_tpm(root: Tpm2RootOfTrust, chip: str, factory: TpmFactory) -> Mapping[str, Any]:
    """Show the TPM, open the credential, get what a factory gives."""
    claim = root.claim()
    shown = {
        "chip": chip,
        "endorsement_certificate": _text(claim.endorsement_certificate),
        "intermediates": [_text(one) for one in claim.intermediates],
        "attestation_key": _text(claim.attestation_key),
        "identity_key": _text(claim.identity_key),
        "certification": _text(claim.certification),
    }
    question = factory("tpm-challenges", shown)
    try:
        blob, encrypted_seed = (
            base64.b64decode(question[name], validate=True) for name in ("credential_blob", "encrypted_seed")
        )
        expires_at = int(question["expires_at"])
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise ServiceUnreachableError(
            f"the service's credential lacks or spoils a field: {type(error).__name__}: {error}",
            remedy="Use an Armillary service of this version.",
        ) from error
    answer = {"expires_at": expires_at, "secret": _text(root.activate(blob, encrypted_seed))}
    return factory("tpm-devices", {**shown, **answer, "csr": root.certificate_request().decode("ascii")})


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def boot_region(component: str) -> str:
    """Flash region that a boot component is put into when a device is made: its slot ``a``."""
    return os_region(component, SLOTS[0])


def store_boot_components(flash: Flash, components: Sequence[tuple[str, bytes]]) -> None:
    """Write boot component packages; each is replaced whole."""
    for name, package in components:
        replace_region(flash, boot_region(name), package)


def _flashed_os(reply: FactoryReply) -> FlashedOs:
    """What a device with a flashed disk was told of its OS; a component whose payload nobody told has none."""
    components = (
        FlashedComponent(name, reply.payload_bytes.get(name, 0), tail) for name, tail in reply.boot_components
    )
    return FlashedOs(reply.os_version, tuple(components))


def trust_repository(flash: Flash, root: str) -> None:
    """Trust a repository by its root from now on; what was trusted by another root is forgotten. Empty does nothing."""
    trusted = FlashMetadata(flash)
    if root and trusted.read(ROOT) != root.encode():
        for role in LED_TO:
            trusted.forget(role)
        trusted.keep(ROOT, root.encode())


def parse_reply(value: Mapping[str, Any]) -> FactoryReply:
    """Check the factory's answer; ServiceUnreachableError if a field is missing or of another kind."""
    try:
        reply = FactoryReply(
            device_id=str(value["device_id"]),
            identity_certificate=_certificates(value["identity_certificate"]),
            service_root=_certificates([value["service_root"]])[0],
            trusted_os_certificates=_certificates(value["trusted_os_certificates"]),
            trusted_image_certificates=_certificates(value["trusted_image_certificates"]),
            os_version=str(value["os_version"]),
            boot_components=tuple(
                (str(component["name"]), base64.b64decode(component["package"], validate=True))
                for component in value["boot_components"]
            ),
            payload_bytes={
                str(component["name"]): int(component["payload_bytes"])
                for component in value["boot_components"]
                if "payload_bytes" in component
            },
            device_endpoint=str(value["device_endpoint"]),
            service_name=str(value["service_name"]),
            repository_root=str(value.get("repository_root", "")),
            time=int(value.get("time", 0)),
        )
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise ServiceUnreachableError(
            f"the factory's answer lacks or spoils a field: {type(error).__name__}: {error}",
            remedy="Use an Armillary service of this version.",
        ) from error
    if not reply.boot_components or not reply.device_endpoint.startswith("https://"):
        raise ServiceUnreachableError(
            "the factory's answer has no boot components or no https device endpoint",
            remedy="Add an OS release for this chip to the service.",
        )
    return reply


def _certificates(texts: Sequence[str]) -> tuple[str, ...]:
    for text in texts:
        load_pem_x509_certificates(text.encode("ascii"))  # the service root can be several: a new one beside the old
    if not texts:
        raise ValueError("no certificate")
    return tuple(texts)
