# SPDX-License-Identifier: Apache-2.0
"""Finds the root of trust engine a device was made with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from armillary.engines.root_of_trust.port import RootOfTrust
from armillary.engines.root_of_trust.software import SoftwareRootOfTrust
from armillary.errors import InvalidArgumentError

if TYPE_CHECKING:
    from armillary.engines.root_of_trust.tpm2 import Tpm2RootOfTrust

ENGINES = ("software", "tpm2")


def create_root_of_trust(name: str, folder: Path, *, tpm: str | None = None) -> RootOfTrust:
    """Make a new identity with the engine ``software`` or ``tpm2``, whose files go into ``folder``.

    ``tpm`` is the address of the TPM, for ``tpm2`` only; by default the kernel's.

    Raises:
        InvalidArgumentError: no such engine, or a TPM named for one that has none.
        RootOfTrustError: it cannot be made.
    """
    _check(name)
    if name == "tpm2":
        return _tpm_engine().create(folder, tpm=tpm)
    if tpm is not None:
        raise InvalidArgumentError(
            f"root of trust {name}: it has no TPM, got {tpm!r:.60}", remedy="Leave --tpm out, or use tpm2."
        )
    return SoftwareRootOfTrust.create(folder)


def open_root_of_trust(name: str, folder: Path) -> RootOfTrust:
    """Open the identity in ``folder``.

    Raises:
        InvalidArgumentError: no such engine.
        RootOfTrustError: it is missing or damaged.
    """
    _check(name)
    return _tpm_engine().open(folder) if name == "tpm2" else SoftwareRootOfTrust.open(folder)


def _tpm_engine() -> type[Tpm2RootOfTrust]:
    from armillary.engines.root_of_trust.tpm2 import Tpm2RootOfTrust  # noqa: PLC0415 - only with a TPM

    return Tpm2RootOfTrust


def _check(name: str) -> None:
    if name not in ENGINES:
        raise InvalidArgumentError(
            f"root of trust: expected {', '.join(ENGINES)}, got {name!r}",
            remedy="Choose one of the named engines; this version has no other.",
        )
