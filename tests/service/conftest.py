# SPDX-License-Identifier: Apache-2.0
"""A service with a catalog, and application packages to deploy."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.fixtures.clocks import Clock

from armillary.sim.device.service_host import ServiceHost
from armillary.wire.image import application as application_package


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def host(tmp_path: Path, clock: Clock) -> Iterator[ServiceHost]:
    with ServiceHost(tmp_path / "data", clock=clock, planner_interval_s=3600.0, check_in_jitter=0.0) as running:
        running.catalog()
        yield running


@pytest.fixture(scope="session")
def signer() -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "developer")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2040, 1, 1, tzinfo=dt.UTC))
        .sign(key, hashes.SHA256())
    )
    return key, certificate


@pytest.fixture
def package(signer: tuple[ec.EllipticCurvePrivateKey, x509.Certificate]) -> Callable[..., bytes]:
    key, certificate = signer

    def make(
        component: UUID | None = None,
        *,
        content: bytes = b"#!/bin/sh\n",
        image_id: UUID | None = None,
        name: str = "tap",
    ) -> bytes:
        manifest = {
            "SchemaVersion": 1,
            "Name": name,
            "ComponentId": str(component or uuid4()),
            "EntryPoint": "/bin/app",
            "CmdArgs": [],
            "Capabilities": {"AllowedConnections": ["example.com"]},
            "ApplicationType": "Default",
        }
        files = {"app_manifest.json": json.dumps(manifest).encode(), "bin/app": content}
        return application_package.pack(
            files, image_id=image_id or uuid4(), built=1_790_000_000, key=key, certificate=certificate
        )

    return make
