# SPDX-License-Identifier: Apache-2.0
"""What a device gets at manufacture: its certificate, what it trusts, and its first OS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from armillary.service.factory.flashed_systems import PackageEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class FactoryReply:
    """What a device gets at manufacture; certificates are DER.

    Attributes:
        device_id: 128 hex digits, from the key in the request.
        certificate_chain: What the device presents in TLS, leaf first: the identity certificate alone, because the
            endpoint trusts the silicon authority itself.
        service_root: Root that the device pins: the one that signs server certificates now.
        further_roots: Other valid roots that it pins: a successor that takes over later.
        trusted_os_certificates: Signers of boot components.
        trusted_image_certificates: Signers of application packages (both: the trusted keystore).
        boot_packages: Component name to signed image package; empty for a device whose disk was flashed.
        boot_ends: For such a one, component name to what follows the payload in its package.
        endpoint: ``https://host:port`` of the device endpoint.
        service_name: Name that evidence must carry.
        repository_root: TUF root metadata of the repository, as served; what the device trusts releases by.
        time: The service's, Unix seconds UTC: a device that is recovered believes no later one.
    """

    device_id: str
    certificate_chain: tuple[bytes, ...]
    service_root: bytes
    trusted_os_certificates: tuple[bytes, ...]
    trusted_image_certificates: tuple[bytes, ...]
    os_version: str
    boot_packages: Mapping[str, bytes]
    endpoint: str
    service_name: str
    boot_ends: Mapping[str, PackageEnd] = field(default_factory=dict)
    further_roots: tuple[bytes, ...] = ()
    repository_root: bytes = b""
    time: int = 0
