# SPDX-License-Identifier: Apache-2.0
"""Native routes of what is trusted: the attestation policy of a catalog, the life of a release, and CoRIM."""

from __future__ import annotations

import base64
import binascii
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field
from starlette.requests import Request

from armillary.api.http.documents import as_document
from armillary.api.http.route import ADMINISTRATOR, READER, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.native.parameters import V1, CatalogPath, FeedName, Limit, Name, StrictBody
from armillary.api.native.service.requests import BASE64, ReasonBody
from armillary.api.views import policy as views_policy, service as views
from armillary.attest import policy as rules
from armillary.errors import InvalidArgumentError
from armillary.wire.attestation.mechanisms import MECHANISMS
from armillary.wire.encoding.cbor_fields import MAX_TIME
from armillary.wire.image.section import SECURITY_VERSION_LIMIT

POLICY = V1 + "/catalogs/{catalog}/attestation-policy"

Time = Annotated[int, Field(ge=0, le=MAX_TIME)]
# An image type as JSON has it, and a security version: a fuse word has 32 bits.
ImageType = Annotated[str, Field(pattern=r"^[0-9]{1,5}$")]
SecurityVersion = Annotated[int, Field(ge=0, le=SECURITY_VERSION_LIMIT, strict=True)]


class PolicyBody(StrictBody):
    """What to change; absent fields stay as they are, null takes a limit away.

    Attributes:
        minimum_tier: Lowest trust tier that a device must have.
        chips: Accepted chip profiles; an empty list accepts all.
        minimum_security_versions: Image type to lowest security version, added to those that hold; none falls.
        older_releases_until: Until when a release is good although its chip has a newer one; null: without end.
        maximum_release_age_days: For how many days after its publication a release is good; null: without end.
        firmware_log: Whether devices have to send the log of their machine's firmware.
        mechanisms: What has to contain applications, by the devices' self-tests; an empty list demands none.
        if_version: Refuse the change if another version of the policy holds.
    """

    minimum_tier: Literal["simulated", "software", "tpm", "silicon"] = "simulated"
    chips: Annotated[list[Name], Field(max_length=rules.MAX_CHIPS)] = Field(default=[])
    minimum_security_versions: Annotated[
        dict[ImageType, SecurityVersion], Field(max_length=rules.MAX_SECURITY_VERSIONS)
    ] = Field(default={})
    older_releases_until: Time | None = None
    maximum_release_age_days: Annotated[int, Field(ge=1, le=rules.MAX_AGE_DAYS)] | None = None
    firmware_log: Annotated[bool, Field(strict=True)] = False
    mechanisms: Annotated[list[Name], Field(max_length=len(MECHANISMS))] = Field(default=[])
    if_version: Annotated[int, Field(ge=0)] | None = None


class ExpiryBody(StrictBody):
    """Until when a release is good: Unix seconds UTC; null takes the end away."""

    expires_at: Time | None


class CorimBody(StrictBody):
    """A CoRIM to make a release of.

    Attributes:
        corim: Its bytes, base64: at most 16 KiB.
        feed: Who is meant to run the release.
        key: Public key or certificate of who signed it, PEM; needed for the signed form.
        allow_unsigned: Whether the caller vouches for an unsigned one.
        chip: Chip profile that it is for, where its model is none or another maker's name.
        os_version: OS version, where it does not say one.
        security_version: Of the components of which it says none.
        pass_over: Fields that are passed over on the caller's word: cryptokeys, authorized-by, index, or one of a
            profile such as "key -1".
    """

    corim: Annotated[str, Field(min_length=1, max_length=24576, json_schema_extra=dict(BASE64))]
    feed: FeedName = "Retail"
    key: Annotated[str, Field(min_length=1, max_length=8192)] | None = None
    allow_unsigned: bool = False
    chip: Name | None = None
    os_version: Annotated[str, Field(min_length=1, max_length=32)] | None = None
    security_version: SecurityVersion = 0
    pass_over: Annotated[list[Annotated[str, Field(max_length=32)]], Field(max_length=16)] = Field(default=[])


def show_policy(request: Request, catalog: CatalogPath) -> dict[str, Any]:
    """What a catalog demands of its devices beyond a good boot."""
    return views_policy.policy(service_of(request), catalog)


def change_policy(request: Request, catalog: CatalogPath, body: PolicyBody) -> dict[str, Any]:
    """Change what a catalog demands, from each device's next check-in on. Minimum security versions never fall."""
    change = {name: getattr(body, name) for name in body.model_fields_set if name != "if_version"}
    service = service_of(request)
    row = service.attestation.policies.revise(
        catalog, change, actor=operator_of(request).name, if_version=body.if_version
    )
    return views_policy.document(service.registry.catalogs.get(catalog).name, row)


def policy_versions(request: Request, catalog: CatalogPath, limit: Limit = 100) -> dict[str, Any]:
    """The versions of a catalog's policy, newest first."""
    service = service_of(request)
    name = service.registry.catalogs.get(catalog).name
    rows = service.attestation.policies.history(catalog, limit=limit)
    return {"items": [views_policy.document(name, row) for row in rows], "next": None}


def withdraw_release(request: Request, release_id: UUID, body: ReasonBody) -> dict[str, Any]:
    """Withdraw a release for good: devices that boot it get update-only certificates from the next check-in on."""
    service_of(request).releases.withdraw(release_id, body.reason, actor=operator_of(request).name)
    return views.release(service_of(request), release_id)


def set_release_expiry(request: Request, release_id: UUID, body: ExpiryBody) -> dict[str, Any]:
    """Say until when a release is good."""
    service_of(request).releases.set_expiry(release_id, body.expires_at, actor=operator_of(request).name)
    return views.release(service_of(request), release_id)


def export_corim(request: Request, release_id: UUID, signed: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002
    """A release's reference values as CoRIM (draft-ietf-rats-corim) in base64, signed by the service or not."""
    data = service_of(request).attestation.corims.export(release_id, signed=signed)
    return {"corim": base64.b64encode(data).decode("ascii"), "signed": signed}


def import_corim(request: Request, body: CorimBody) -> dict[str, Any]:
    """Make a release of the reference values in a CoRIM.

    The answer names what was passed over and what the file did not say; a field that bears on reference values and
    cannot be followed is refused by name.
    """
    try:
        data = base64.b64decode(body.corim, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidArgumentError(f"corim: expected base64, got {error}", remedy="Encode it again.") from error
    made = service_of(request).attestation.corims.take(
        data,
        actor=operator_of(request).name,
        feed=body.feed,
        key_pem=body.key,
        allow_unsigned=body.allow_unsigned,
        chip=body.chip,
        version=body.os_version,
        security_version=body.security_version,
        waived=frozenset(body.pass_over),
    )
    document: dict[str, Any] = as_document(made.release)
    return {**document, "passed_over": list(made.passed_over), "derived": list(made.derived)}


_policy, _release = partial(Route, tag="attestation policy"), partial(Route, tag="releases")
_RELEASE = V1 + "/releases/{release_id}"
ROUTES = (
    _policy("GET", POLICY, show_policy, READER),
    _policy("PATCH", POLICY, change_policy, ADMINISTRATOR),
    _policy("GET", POLICY + "/versions", policy_versions, READER),
    _release("GET", _RELEASE + "/corim", export_corim, READER),
    _release("POST", V1 + "/releases/corim", import_corim, ADMINISTRATOR, status=201),
    _release("POST", _RELEASE + "/withdraw", withdraw_release, ADMINISTRATOR),
    _release("POST", _RELEASE + "/expiry", set_release_expiry, ADMINISTRATOR),
)
