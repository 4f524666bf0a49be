# SPDX-License-Identifier: Apache-2.0
"""Finds the root of trust engine a device was made with."""

from __future__ import annotations

from pathlib import Path

from armillary.engines.root_of_trust.port import RootOfTrust
from armillary.engines.root_of_trust.software import SoftwareRootOfTrust
from armillary.errors import InvalidArgumentError

ENGINES = {"software": SoftwareRootOfTrust}


def create_root_of_trust(name: str, folder: Path) -> RootOfTrust:
    """Make a new identity.

    Raises:
        InvalidArgumentError: no such engine.
        RootOfTrustError: it cannot be made.
    """
    return _engine(name).create(folder)


def open_root_of_trust(name: str, folder: Path) -> RootOfTrust:
    """Open the identity in ``folder``.

    Raises:
        InvalidArgumentError: no such engine.
        RootOfTrustError: it is missing or damaged.
    """
    return _engine(name).open(folder)


def _engine(name: str) -> type[SoftwareRootOfTrust]:
    if name not in ENGINES:
        raise InvalidArgumentError(
            f"root of trust: expected {', '.join(ENGINES)}, got {name!r}",
            remedy="Choose one of the named engines; this version has no other.",
        )
    return ENGINES[name]
