# SPDX-License-Identifier: Apache-2.0
"""A service without sockets whose certificates are renewed, cut off at any write, and judged by OpenSSL."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.fixtures.services import copy_of

from armillary.engines import durable as files
from armillary.engines.signer import file as key_files
from armillary.service.assemble import SecurityService
from armillary.service.authority import server_certificate
from armillary.service.authority.issued import BACKDATE_S, new_serial
from armillary.service.authority.life import DAY_S
from armillary.settings import Settings
from armillary.wire.certificates.certificate import verify_issued_by
from armillary.wire.encoding import cose
from armillary.wire.encoding.pem import armour

CLIENT = ec.derive_private_key(9, ec.SECP256R1())
SPKI = cose.spki_from_point(cose.point_of(CLIENT.public_key()))
DEVICE_ID = cose.point_of(CLIENT.public_key()).hex()

needs_openssl = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="needs openssl: sudo apt-get install openssl"
)


class HandedOut(NamedTuple):
    leaf: bytes
    chain: tuple[bytes, ...]


class Rotation:
    """A service with one catalog, no sockets, and a clock of its own."""

    def __init__(self, data: Path, clock: Any) -> None:
        self.clock = clock
        self.data = data
        self.service = SecurityService.open(Settings(data=data), clock=clock)
        self.catalog_id: UUID = self.service.registry.catalogs.get("Contoso").catalog_id

    def close(self) -> None:
        self.service.context.records.close()
        self.service.context.folder.close()

    def issue(self) -> HandedOut:
        """As a check-in now does."""
        issuer = self.service.authority.catalogs.issuer(self.catalog_id)
        now = int(self.clock())
        leaf = issuer.template.issue(SPKI, DEVICE_ID, "client", "software", new_serial(), now - BACKDATE_S, now + DAY_S)
        return HandedOut(leaf, issuer.chain)

    def recorded(self) -> set[bytes]:
        return {
            one.der
            for kind in ("root", "policy", "catalog", "issuing", "server")
            for one in self.service.authority.issued.of_kind(kind)
        }

    def hub_accepts(self, handed: HandedOut) -> bool:
        """Whether one of the authorities the hub knows of signed it."""
        for issuer in self.service.authority.catalogs.issuing_certificates(self.catalog_id):
            try:
                verify_issued_by(handed.leaf, issuer, now=int(self.clock()))
            except Exception:  # noqa: BLE001, S112 - another's
                continue
            return True
        return False


def openssl_says(folder: Path, handed: HandedOut, trusted: bytes, *, at: int) -> str:
    """What ``openssl verify`` says of the chain that was handed out; "" when it accepts."""
    for name, ders in (("leaf", [handed.leaf]), ("chain", handed.chain), ("trusted", [trusted])):
        (folder / name).write_bytes(b"".join(armour("CERTIFICATE", der) for der in ders))
    command = ["openssl", "verify", "-x509_strict", "-no-CAfile", "-no-CApath", "-no-CAstore", "-partial_chain"]
    command += ["-purpose", "sslclient", "-attime", str(at), "-trusted", str(folder / "trusted")]
    done = subprocess.run(
        [*command, "-untrusted", str(folder / "chain"), str(folder / "leaf")],
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


class Cut(BaseException):
    """The process ends here."""


def cut_at(patch: pytest.MonkeyPatch, count: int) -> None:
    """End the process at a write of a key, a file or a transaction: before it for even counts, after it for odd ones."""
    genuine, left = files.write_file, [count // 2]

    def cut(write: Callable[[], Any]) -> Any:
        if left[0] == 0 and count % 2 == 0:
            raise Cut
        done = write()
        if left[0] == 0:
            raise Cut
        left[0] -= 1
        return done

    for module in (key_files, server_certificate):
        patch.setattr(module, "write_file", lambda *a, **o: cut(lambda: genuine(*a, **o)))
    patch.setattr(
        "armillary.engines.records.store.Records.write",
        lambda records, change: cut(lambda: records._group.submit(change, weight=10).result()),
    )


def copies(original: Path) -> Iterator[tuple[int, Path]]:
    """Copies of a data folder beside it, numbered from 0 on; each is removed when the next is asked for."""
    count = 0
    while True:
        data = copy_of(original, original.with_name(f"cut-{count}"))
        yield count, data
        shutil.rmtree(data)
        count += 1
