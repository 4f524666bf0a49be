# SPDX-License-Identifier: Apache-2.0
"""Enrolment without a factory: the holder of a token may enrol a device, into the device group that the token names.

A token is good for a number of devices and until a time, for one device group and, if it says so, one chip. Its secret
is ``arme_`` and 256 random bits, shown once; only the SHA-256 is stored. What it allows is decided inside the
transaction that records the device:

====================================  ===========================================================================
the device of the proven key is       the token
====================================  ===========================================================================
new                                   spends a use: the device is made and claimed
known and nobody's                    spends a use: the device is claimed
enrolled by this token before         spends nothing and answers again, not too often: the reply was lost
decommissioned, return allowed        spends a use: the device is let in again and claimed
revoked, or decommissioned            is refused
in another catalog, or in this one    is refused: the device has an owner, who recovers it with a login
====================================  ===========================================================================
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import Connection

from armillary.engines.records.queries import (
    catalogs as catalog_rows,
    devices as device_rows,
    enrolments as enrolment_rows,
)
from armillary.engines.records.queries.enrolments import EnrolmentToken
from armillary.engines.records.schema.rows import DEFAULT_PRODUCT, UNASSIGNED_GROUP
from armillary.errors import (
    ConflictError,
    InvalidArgumentError,
    NotFoundError,
    UnauthenticatedError,
    WrongCatalogError,
)
from armillary.service.context.chips import Chips
from armillary.service.context.context import Context
from armillary.service.context.notices import Notices
from armillary.service.factory.factory import Factory
from armillary.service.factory.reply import FactoryReply
from armillary.service.factory.tpm_enrolment import TpmAnswer, TpmEnrolments
from armillary.service.registry.names import catalog_or_raise, group_or_raise
from armillary.service.verifier.device_rates import Allowance, Meter

SECRET_PREFIX: Final = "arme_"  # noqa: S105 - tells secret scanners, and us, what they found
SECRET_BYTES: Final = 32
DEFAULT_LIFETIME_S: Final = 3600
# A token is for an installation that is about to happen; for a standing permission there are operator tokens.
MAX_LIFETIME_S: Final = 30 * 86400
MAX_USES: Final = 10_000  # a building's gateways; a factory has its own way: armillary factory run

# Each answer to a device that was enrolled before adds a certificate and an audit line, kept for good. A machine that
# cannot keep its answers asks six times in its first minute, then once a minute (device/machine/program.py).
ANSWERS_AGAIN: Final = Allowance(20, 300.0)

# What a token's device is enrolled as; its own word about its root of trust counts for nothing.
TIER: Final = "software"


@dataclass(frozen=True, slots=True)
class NewEnrolmentToken:
    """A new token with its secret, which is shown this once."""

    token: EnrolmentToken
    secret: str = field(repr=False)


class Enrolments:
    """Makes, lists, revokes and honours enrolment tokens. An unknown catalog raises NotFoundError."""

    def __init__(self, context: Context, factory: Factory, tpms: TpmEnrolments, chips: Chips, notices: Notices) -> None:
        self._context = context
        self._factory = factory
        self._tpms = tpms
        self._chips = chips
        self._notices = notices
        self._again = Meter(ANSWERS_AGAIN)  # by the number of a device; used in the writer's thread alone

    def create(
        self,
        catalog: str,
        *,
        actor: str,
        product: str = DEFAULT_PRODUCT,
        group: str = UNASSIGNED_GROUP,
        chip: str = "",
        uses: int = 1,
        lifetime_s: int = DEFAULT_LIFETIME_S,
    ) -> NewEnrolmentToken:
        """Make a token; its secret is in the answer and nowhere else.

        Raises:
            NotFoundError: the catalog, product, group or chip does not exist.
            InvalidArgumentError: uses or lifetime.
        """
        for name, value, most in (("uses", uses, MAX_USES), ("lifetime", lifetime_s, MAX_LIFETIME_S)):
            if not 1 <= value <= most:
                raise InvalidArgumentError(f"{name}: expected 1 to {most}, got {value}", remedy="Use such a number.")
        if chip:
            self._chips.get(chip)
        now = self._context.now()
        secret = SECRET_PREFIX + secrets.token_urlsafe(SECRET_BYTES)

        def change(connection: Connection) -> EnrolmentToken:
            owner = catalog_or_raise(connection, catalog)
            target = group_or_raise(connection, catalog, product, group)
            token = EnrolmentToken(
                token_id=uuid4(),
                catalog_id=owner.catalog_id,
                catalog=owner.name,
                product=target.product,
                group=target.name,
                group_id=target.group_id,
                chip=chip,
                uses=uses,
                used=0,
                created_at=now,
                created_by=actor,
                expires_at=now + lifetime_s,
                revoked_at=None,
            )
            enrolment_rows.add(connection, token, _hash(secret))
            detail = {"catalog": owner.name, "product": target.product, "group": target.name, "chip": chip}
            detail |= {"uses": str(uses), "expires_at": str(token.expires_at)}
            self._context.audit(connection, actor, "enrolment-token.create", str(token.token_id), detail)
            return token

        return NewEnrolmentToken(self._context.records.write(change), secret)

    def list(self, catalog: str) -> tuple[EnrolmentToken, ...]:
        """A catalog's tokens, oldest first."""
        return self._context.records.read(
            lambda c: enrolment_rows.of_catalog(c, catalog_or_raise(c, catalog).catalog_id)
        )

    def revoke(self, catalog: str, token_id: UUID, *, actor: str) -> EnrolmentToken:
        """Make a token of this catalog useless (its devices stay); NotFoundError if the catalog has no such token."""

        def change(connection: Connection) -> EnrolmentToken:
            owner = catalog_or_raise(connection, catalog)
            token = enrolment_rows.by_id(connection, token_id)
            if token is None or token.catalog_id != owner.catalog_id:
                raise NotFoundError(
                    f"catalog {owner.name} has no enrolment token {token_id}",
                    remedy="List them: armillary enrolment-token list.",
                )
            if token.revoked_at is None:
                enrolment_rows.revoke(connection, token_id, now=self._context.now())
                detail = {"catalog": owner.name}
                self._context.audit(connection, actor, "enrolment-token.revoke", str(token_id), detail)
            return enrolment_rows.by_id(connection, token_id) or token

        return self._context.records.write(change)

    def authenticate(self, secret: str) -> EnrolmentToken:
        """The token a secret belongs to; it may be used up, and then it only answers its own devices again.

        UnauthenticatedError if it is unknown or revoked, without saying which, or has expired: whoever knows the secret
        of one is told when.
        """
        digest = _hash(secret)
        token = self._context.records.read(lambda c: enrolment_rows.by_hash(c, digest))
        return _valid(token, self._context.now())

    def enrol(
        self,
        token: EnrolmentToken,
        request_pem: str,
        chip: str,
        *,
        os_version: str | None = None,
        is_flashed: bool = False,
    ) -> FactoryReply:
        """Make a device and claim it into the token's group, in one transaction; see the module's table.

        Raises:
            UnauthenticatedError: the token was revoked meanwhile or has expired.
            ConflictError: it is spent, or is for another chip, or the device has an owner.
            RateLimitedError: it has answered this device as often as it may for now.
            RevokedDeviceError: the device was revoked or decommissioned.
            InvalidArgumentError, NotFoundError: as :meth:`armillary.service.factory.factory.Factory.enrol`.
        """
        reply = self._factory.enrol(
            request_pem,
            chip,
            actor=actor_name(token),
            trust_tier=TIER,
            admission=self._admission(token, chip),
            os_version=os_version,
            is_flashed=is_flashed,
        )
        self._notices.device_changed(reply.device_id)
        return reply

    def enrol_tpm(self, token: EnrolmentToken, answer: TpmAnswer, request_pem: str) -> FactoryReply:
        """The same for a device whose TPM opened its credential (tier ``tpm``); raises as ``TpmEnrolments.enrol``."""
        reply = self._tpms.enrol(
            answer, request_pem, actor=actor_name(token), admission=self._admission(token, answer.chip)
        )
        self._notices.device_changed(reply.device_id)
        return reply

    def _admission(self, token: EnrolmentToken, chip: str) -> _TokenAdmission:
        if token.chip and token.chip != chip:
            raise ConflictError(
                f"the enrolment token is for chip {token.chip}, not {chip}", remedy=f"Use --chip {token.chip}."
            )
        return _TokenAdmission(self._context, token, self._again)


@dataclass(frozen=True, slots=True)
class _TokenAdmission:
    """A token in the transaction that records a device."""

    context: Context
    token: EnrolmentToken
    again: Meter

    def admit(self, connection: Connection, known: device_rows.Enrolled | None) -> None:
        """Refuse devices that the token may not be used for; see the module's table."""
        token = _valid(enrolment_rows.by_id(connection, self.token.token_id), self.context.now())
        if known is not None and known.catalog_id is not None:
            if known.catalog_id != token.catalog_id:
                raise WrongCatalogError(f"device {known.device_id[:16]}... belongs to another catalog")
            if not enrolment_rows.was_used_by(connection, token.token_id, known.number):
                raise ConflictError(
                    f"device {known.device_id[:16]}... is in this catalog already",
                    remedy="Recover it with an operator's login: armillary device recover.",
                )
            self._answer_again(known)
        elif known is not None and enrolment_rows.was_used_by(connection, token.token_id, known.number):
            raise ConflictError(
                f"device {known.device_id[:16]}... was enrolled with this token and has left its catalog since",
                remedy="Ask for a new one: armillary enrolment-token create.",
            )

    def _answer_again(self, known: device_rows.Enrolled) -> None:
        complaint = f"device {known.device_id[:16]}... was answered by this enrolment token too often"
        self.again.charge(known.number, self.context.now(), complaint)

    def settle(self, connection: Connection, device_id: str, number: int) -> Mapping[str, str]:
        """Spend a use and claim the device, unless this token has done both before; for the audit line."""
        token, now = self.token, self.context.now()
        if not enrolment_rows.was_used_by(connection, token.token_id, number):
            if not enrolment_rows.spend(connection, token.token_id, number, now=now):
                raise ConflictError(
                    f"the enrolment token was used {token.uses} of {token.uses} times",
                    remedy="Ask for a new one: armillary enrolment-token create.",
                )
            self._claim(connection, device_id, now)
        return {"enrolment_token": str(token.token_id)}

    def _claim(self, connection: Connection, device_id: str, now: int) -> None:
        token = self.token
        target = catalog_rows.group_by_id(connection, token.group_id)
        if target is None or target.catalog_id != token.catalog_id:
            raise ConflictError(
                "the device group of the enrolment token does not exist any more",
                remedy="Ask for a new one: armillary enrolment-token create.",
            )
        device_rows.claim(connection, device_id, catalog_id=target.catalog_id, group_id=target.group_id, now=now)
        detail = {"catalog": target.catalog, "product": target.product, "group": target.name}
        self.context.audit(connection, actor_name(token), "device.claim", device_id, detail)


def _valid(token: EnrolmentToken | None, now: int) -> EnrolmentToken:
    remedy = "Ask for a new one: armillary enrolment-token create."
    if token is None or token.revoked_at is not None:
        raise UnauthenticatedError("the enrolment token is not valid", remedy=remedy)
    if now >= token.expires_at:
        at = datetime.fromtimestamp(token.expires_at, UTC)
        raise UnauthenticatedError(f"the enrolment token expired at {at:%Y-%m-%d %H:%M:%S} UTC", remedy=remedy)
    return token


def actor_name(token: EnrolmentToken) -> str:
    """The actor in the audit log for what a token did."""
    return f"enrolment-token {token.token_id}"


def _hash(secret: str) -> bytes:
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()
