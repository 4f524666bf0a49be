# SPDX-License-Identifier: Apache-2.0
"""Verified and measured boot of a chain of components, in the order of the chip's profile.

Each stage checks the next before it starts it. Checks, with what each prevents:

(1) the component is there and fits its place in flash (a missing or oversized stage);
(2) it is an image package (garbage handed to the verifier of a later stage);
(3) a trusted OS key signed it (code that the maker of the OS did not publish);
(4) it is the component that belongs here (a genuine stage in the wrong place);
(5) its security version is not below the minimum (a genuine stage that is known to be vulnerable).

Then it is **measured**: an event with the SHA-256 of the whole package is appended before the stage starts, so that
a stage cannot remove itself from the log.

Nothing outside the profile's components is looked at. What the caller must still do: keep the minimum versions where
a rollback of the flash does not reach them, extend the events into the root of trust, and derive the keys of the
next layer from them.

``enforce=False`` models a chip whose verification was disabled or defeated: it starts everything and measures it
truthfully. It exists because the service must recognise such a device by its measurements; a device never chooses it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from cryptography import x509

from armillary.boot.profile import BootComponent, ChipProfile
from armillary.errors import BootRefusedError, WireError
from armillary.wire.attestation import event_log
from armillary.wire.attestation.event_log import BootEvent
from armillary.wire.image import package as image_package
from armillary.wire.image.package import BegunHash, ImagePackage, UnverifiedImagePackage

_NO_IMAGE = UUID(int=0)  # in the event of something that is not an image package


@dataclass(frozen=True, slots=True, kw_only=True)
class BootRecord:
    """What was started.

    Attributes:
        events: One per component, in boot order.
        violations: What an enforcing chip would have refused, one sentence each; empty when it enforced.
    """

    events: tuple[BootEvent, ...]
    violations: tuple[str, ...] = ()

    @property
    def log_head(self) -> bytes:
        """Head of the event log, 32 bytes."""
        return event_log.log_head(self.events)


def boot(
    profile: ChipProfile,
    packages: Mapping[str, bytes],
    *,
    trusted: Sequence[x509.Certificate],
    minimum_security_versions: Mapping[int, int],
    enforce: bool = True,
    begun: Mapping[str, BegunHash] | None = None,
) -> BootRecord:
    """Boot a chip.

    Args:
        profile: Which components, in which order.
        packages: Component name -> image package, as read from flash.
        trusted: Certificates whose keys may sign boot components.
        minimum_security_versions: Image type -> lowest security version that may boot; 0 where absent.
        enforce: False to model a chip that does not verify.
        begun: Component name -> the hash of its package, as far as it was begun while it was read.

    Raises:
        BootRefusedError: a check failed; names the component and the check. Nothing after it is looked at.
    """
    events: list[BootEvent] = []
    violations: list[str] = []
    for component in profile.boot_components:
        data = packages.get(component.name, b"")
        try:
            package = verify_component(
                component,
                data,
                trusted=trusted,
                minimum_security_version=minimum_security_versions.get(component.image_type, 0),
                begun=(begun or {}).get(component.name),
            )
        except BootRefusedError as error:
            if enforce:
                raise
            violations.append(error.message)
            events.append(_measure_unverified(component, data))
        else:
            events.append(_event(component, package))
    return BootRecord(events=tuple(events), violations=tuple(violations))


def verify_component(
    component: BootComponent,
    data: bytes,
    *,
    trusted: Sequence[x509.Certificate],
    minimum_security_version: int,
    begun: BegunHash | None = None,
) -> ImagePackage:
    """Checks (1) to (5) of the module's header; BootRefusedError names the component and the check."""
    # (1): there, and fits its place
    if not data:
        raise _refused(component, 1, "a package", "nothing in its place")
    if len(data) > component.size_limit_bytes:
        raise _refused(component, 1, f"at most {component.size_limit_bytes} bytes", f"{len(data)} bytes")
    # (2): an image package; (3): signed by a trusted key
    try:
        unverified = image_package.parse(data)
    except WireError as error:
        raise _refused(component, 2, "an image package", error.message) from error
    try:
        package = image_package.verify(unverified, trusted, begun)
    except WireError as error:
        raise _refused(component, 3, "the signature of a trusted OS key", error.message) from error
    # (4): the component that belongs here
    if (package.image_type, package.component_id) != (component.image_type, component.component_id):
        raise _refused(
            component,
            4,
            f"image type {component.image_type}, component {component.component_id}",
            f"image type {package.image_type}, component {package.component_id}",
        )
    # (5): not older than allowed
    if package.security_version < minimum_security_version:
        raise _refused(
            component,
            5,
            f"security version {minimum_security_version} or above",
            f"version {package.security_version}",
        )
    return package


def _event(component: BootComponent, package: ImagePackage | UnverifiedImagePackage) -> BootEvent:
    return BootEvent(
        component=component.name,
        image_type=package.image_type,
        component_id=package.component_id,
        image_id=package.image_id,
        digest=package.digest,
        security_version=package.security_version,
    )


def _measure_unverified(component: BootComponent, data: bytes) -> BootEvent:
    """The event of a component that verification would have refused: what it says, or what is known of the place."""
    try:
        return _event(component, image_package.parse(data))
    except WireError:
        return BootEvent(
            component=component.name,
            image_type=component.image_type,
            component_id=component.component_id,
            image_id=_NO_IMAGE,
            digest=hashlib.sha256(data).digest(),
            security_version=0,
        )


def _refused(component: BootComponent, check: int, expected: str, got: str) -> BootRefusedError:
    return BootRefusedError(
        f"boot stopped at {component.name}, check ({check}): expected {expected}, got {got}",
        remedy=f"Restore {component.name} from a release: armillary device recover.",
    )
