# SPDX-License-Identifier: Apache-2.0
"""Whether a device takes a directive: numbered checks, each of which prevents one attack.

1. A director key of the trusted targets metadata signed it: nobody else can say what to install.
2. It is for this device: the set of another device is no set of this one.
3. It is for this chip: images of another chip would not boot.
4. Its version is not below that of the last one that was taken (the same one may come again): no roll-back to a set
   that was left behind, by whoever kept an older directive.
5. It has not ended, by the clock that follows the service's signed time: whoever holds back newer ones cannot freeze
   the device for longer than one lives.

Left to the caller: the hash of each image has to be in the repository's metadata too, the version is kept before
anything of the directive is installed, and ``now`` is not a clock that anybody can set back.
"""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric import ec

from armillary.errors import DirectiveError, SignatureError
from armillary.wire.encoding import cose
from armillary.wire.update.directive import CONTEXT, WHAT, Directive, UnverifiedDirective


def accepted(
    unverified: UnverifiedDirective,
    keys: Mapping[str, ec.EllipticCurvePublicKey],
    *,
    device_id: str,
    hardware: str,
    last_version: int,
    now: int,
) -> Directive:
    """The directive, verified for this device; ``keys`` are the director's by TUF key id, ``now`` Unix seconds UTC.

    ``last_version`` is the version of the last directive that was taken, 0 for none.

    Raises:
        SignatureError: no key of the director signed it.
        DirectiveError: it is for another device or chip, older than the last one, or has ended.
    """
    key = keys.get(unverified.key_id)
    if key is None:
        raise SignatureError(
            WHAT, expected="a key of the role director", got=f"the unknown key {unverified.key_id[:16]}..."
        )
    cose.verify_sign1(unverified.message, key, external_aad=CONTEXT, what=WHAT)
    directive = unverified.claims
    if directive.device_id != device_id:
        raise DirectiveError(WHAT, expected=f"device {device_id[:16]}...", got=f"device {directive.device_id[:16]}...")
    if directive.hardware != hardware:
        raise DirectiveError(WHAT, expected=f"chip {hardware}", got=f"chip {directive.hardware}")
    if directive.version < last_version:
        raise DirectiveError(WHAT, expected=f"version {last_version} or later", got=f"version {directive.version}")
    if directive.expires_at <= now:
        raise DirectiveError(WHAT, expected=f"an end after {now}", got=f"the end {directive.expires_at}")
    return directive
