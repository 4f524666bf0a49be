# SPDX-License-Identifier: Apache-2.0
"""Methods of the device's certificate store. None gives a private key back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from armillary.device.interface.method import Call, Method
from armillary.device.state.certificate_store import (
    MAX_PART_BYTES,
    MAX_PASSWORD_BYTES,
    TYPES,
    CertificateStore,
    read_certificate,
)

CAPABILITY = "CertStore"
_ID_CHARACTERS = 64  # more than an id has: which ones are taken, the store says


class Certificates:
    """Keeps certificates for EAP-TLS and for other applications: ids are of the whole device."""

    def __init__(self, store: CertificateStore) -> None:
        self._store = store

    @property
    def methods(self) -> tuple[Method, ...]:
        """The rows."""
        return (
            Method("certificates.list", CAPABILITY, self._list),
            Method("certificates.show", CAPABILITY, self._show),
            Method("certificates.install", CAPABILITY, self._install),
            Method("certificates.delete", CAPABILITY, self._delete),
        )

    async def _list(self, call: Call) -> Mapping[str, Any]:
        call.parameters.finish()
        return {"ids": list(self._store.identifiers), "available_bytes": self._store.available_bytes}

    async def _show(self, call: Call) -> Mapping[str, Any]:
        name = call.parameters.text("id", most=_ID_CHARACTERS)
        call.parameters.finish()
        found = self._store.get(name)
        certificate = found.certificate
        return {
            "type": found.kind,
            "subject": certificate.subject.rfc4514_string(),
            "issuer": certificate.issuer.rfc4514_string(),
            "not_before": int(certificate.not_valid_before_utc.timestamp()),
            "not_after": int(certificate.not_valid_after_utc.timestamp()),
        }

    async def _install(self, call: Call) -> None:
        """Keep a certificate; an earlier one of the same id is replaced."""
        name = call.parameters.text("id", most=_ID_CHARACTERS)
        kind = call.parameters.choice("type", TYPES)
        public = call.parameters.text("certificate", most=2 * MAX_PART_BYTES, lines=True)
        key = call.parameters.text("key", most=2 * MAX_PART_BYTES, lines=True, default="") or None
        password = call.parameters.optional_text("password", most=MAX_PASSWORD_BYTES)
        call.parameters.finish()
        self._store.check_id(name)
        call.session.work.begin_change()
        self._store.add(name, await call.session.work.do(read_certificate, kind, public, key, password))

    async def _delete(self, call: Call) -> None:
        name = call.parameters.text("id", most=_ID_CHARACTERS)
        call.parameters.finish()
        self._store.get(name)
        call.session.work.begin_change()
        self._store.remove(name)
