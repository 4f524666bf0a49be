# SPDX-License-Identifier: Apache-2.0
"""Who may call what: one table from route to role, checked before a body is read.

A route that the table does not name cannot be mounted (``routes.py`` refuses at start), and a request that comes
without a valid token gets 401 before anything of it but its headers is looked at. Roles rise:
Reader < Contributor < Administrator; what each is for stands in ``service/registry/tokens.py``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from armillary.api.azure import names
from armillary.api.central.table import OPERATIONS, is_central
from armillary.api.http.query import read_query
from armillary.api.http.scope import UNKNOWN_PATHS, check_scope
from armillary.engines.records.queries.enrolments import EnrolmentToken
from armillary.engines.records.schema.rows import Token
from armillary.errors import PermissionDeniedError, UnauthenticatedError
from armillary.service.factory.enrolments import SECRET_PREFIX
from armillary.wire.hub.api_token import secret_of_header

if TYPE_CHECKING:
    from armillary.service.assemble import SecurityService

PUBLIC = "public"  # no token: says nothing about devices or people
SCRAPE = "scrape"  # Reader token, or a caller on this host
FACTORY = "factory"  # Contributor token, or an enrolment token: service/factory/enrolments.py says what it allows
READER = "Reader"  # sees
CONTRIBUTOR = "Contributor"  # changes products, devices, images, roll-outs
ADMINISTRATOR = "Administrator"  # changes who and what is trusted
RANK: Mapping[str, int] = {READER: 1, CONTRIBUTOR: 2, ADMINISTRATOR: 3}

V1 = "/api/v1"
_SUBSCRIBED = f"{names.SUBSCRIPTION}/providers/{names.PROVIDER}"
_CATALOG = V1 + "/catalogs/{catalog}"
_DEVICE = V1 + "/devices/{device_id}"
IOT_HUB = "/iothub"
DEVICE_FILES = "PUT /device-files/{path:path}"
_IOT_DEVICE = IOT_HUB + "/devices/{device_id}"
_IOT_TWIN = IOT_HUB + "/twins/{device_id}"
_HUB_ENROLMENTS = _CATALOG + "/hub-enrolments"
_HUB_DEVICE = V1 + "/hub-devices/{device_id}"
_ROLLOUT = V1 + "/rollouts/{rollout_id}"
_JOB = V1 + "/jobs/{job_id}"
_EXPORT = V1 + "/exports/{export_id}"
_RULE = V1 + "/rules/{rule_id}"
_FINDING = V1 + "/findings/{finding_id}"
_TEMPLATE = V1 + "/templates/{template_name}"

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")

# "METHOD path" -> role.
ACCESS: Mapping[str, str] = {
    # Azure Sphere's management API
    f"GET {names.OPERATIONS}": READER,
    f"GET {names.OPERATION_STATUS}": READER,
    f"GET {names.OPERATION_RESULT}": READER,
    f"GET {_SUBSCRIBED}/catalogs": READER,
    f"GET {names.CATALOGS}": READER,
    f"GET {names.CATALOG}": READER,
    f"PUT {names.CATALOG}": CONTRIBUTOR,
    f"PATCH {names.CATALOG}": CONTRIBUTOR,
    f"DELETE {names.CATALOG}": ADMINISTRATOR,
    f"POST {names.CATALOG}/countDevices": READER,
    f"POST {names.CATALOG}/listDeployments": READER,
    f"GET {names.CATALOG}/listDeployments": READER,
    f"POST {names.CATALOG}/listDevices": READER,
    f"GET {names.CATALOG}/listDevices": READER,
    f"POST {names.CATALOG}/listDeviceInsights": READER,
    f"GET {names.CATALOG}/listDeviceInsights": READER,
    f"POST {names.CATALOG}/listDeviceGroups": READER,
    f"GET {names.CATALOG}/listDeviceGroups": READER,
    f"POST {names.CATALOG}/uploadImage": CONTRIBUTOR,
    f"GET {names.CATALOG}/images": READER,
    f"GET {names.IMAGE}": READER,
    f"PUT {names.IMAGE}": CONTRIBUTOR,
    f"DELETE {names.IMAGE}": CONTRIBUTOR,
    f"GET {names.CATALOG}/certificates": READER,
    f"GET {names.CERTIFICATE}": READER,
    f"POST {names.CERTIFICATE}/retrieveCertChain": READER,
    f"POST {names.CERTIFICATE}/retrieveProofOfPossessionNonce": ADMINISTRATOR,  # the CA key signs
    f"GET {names.CATALOG}/products": READER,
    f"GET {names.PRODUCT}": READER,
    f"PUT {names.PRODUCT}": CONTRIBUTOR,
    f"PATCH {names.PRODUCT}": CONTRIBUTOR,
    f"DELETE {names.PRODUCT}": CONTRIBUTOR,
    f"POST {names.PRODUCT}/countDevices": READER,
    f"POST {names.PRODUCT}/generateDefaultDeviceGroups": CONTRIBUTOR,
    f"GET {names.PRODUCT}/deviceGroups": READER,
    f"GET {names.DEVICE_GROUP}": READER,
    f"PUT {names.DEVICE_GROUP}": CONTRIBUTOR,
    f"PATCH {names.DEVICE_GROUP}": CONTRIBUTOR,
    f"DELETE {names.DEVICE_GROUP}": CONTRIBUTOR,
    f"POST {names.DEVICE_GROUP}/claimDevices": CONTRIBUTOR,
    f"POST {names.DEVICE_GROUP}/countDevices": READER,
    f"GET {names.DEVICE_GROUP}/deployments": READER,
    f"GET {names.DEPLOYMENT}": READER,
    f"PUT {names.DEPLOYMENT}": CONTRIBUTOR,
    f"DELETE {names.DEPLOYMENT}": CONTRIBUTOR,
    f"GET {names.DEVICE_GROUP}/devices": READER,
    f"GET {names.DEVICE}": READER,
    f"PUT {names.DEVICE}": CONTRIBUTOR,
    f"PATCH {names.DEVICE}": CONTRIBUTOR,
    f"DELETE {names.DEVICE}": CONTRIBUTOR,
    f"POST {names.DEVICE}/generateCapabilityImage": ADMINISTRATOR,  # the service key signs away a protection
    # Our own
    f"GET {V1}/health": PUBLIC,
    f"GET {V1}/openapi.json": PUBLIC,
    f"GET {V1}/public/crl/{{authority}}.crl": PUBLIC,
    f"GET {V1}/public/catalogs/{{catalog_id}}/crl.pem": PUBLIC,
    f"GET {V1}/public/catalogs/{{catalog_id}}/chain.pem": PUBLIC,
    "GET /metrics": SCRAPE,
    f"GET {V1}/me": READER,
    f"GET {V1}/status": READER,
    f"GET {V1}/fleet": READER,
    f"POST {V1}/factory/devices": FACTORY,
    f"POST {V1}/factory/tpm-challenges": FACTORY,
    f"POST {V1}/factory/tpm-devices": FACTORY,
    f"GET {_CATALOG}/enrolment-tokens": READER,
    f"POST {_CATALOG}/enrolment-tokens": CONTRIBUTOR,
    f"DELETE {_CATALOG}/enrolment-tokens/{{token_id}}": CONTRIBUTOR,
    f"GET {_CATALOG}/transfers": READER,
    f"POST {_CATALOG}/transfers": CONTRIBUTOR,
    **{f"POST {_CATALOG}/transfers/{{transfer_id}}/{verb}": CONTRIBUTOR for verb in ("accept", "decline", "cancel")},
    f"GET {_CATALOG}/hub-admission": READER,
    f"PATCH {_CATALOG}/hub-admission": ADMINISTRATOR,  # what does not attest is let in
    f"GET {_CATALOG}/hub-devices": READER,
    f"POST {_CATALOG}/hub-devices": CONTRIBUTOR,
    f"GET {_HUB_ENROLMENTS}": READER,
    f"POST {_HUB_ENROLMENTS}": CONTRIBUTOR,
    f"PATCH {_HUB_ENROLMENTS}/{{enrolment_id}}": CONTRIBUTOR,
    f"DELETE {_HUB_ENROLMENTS}/{{enrolment_id}}": CONTRIBUTOR,
    f"POST {_HUB_ENROLMENTS}/{{enrolment_id}}/verify": CONTRIBUTOR,
    f"GET {_HUB_ENROLMENTS}/{{enrolment_id}}/registrations": READER,
    f"GET {_CATALOG}/hub-service-keys": ADMINISTRATOR,
    f"POST {_CATALOG}/hub-service-keys": ADMINISTRATOR,
    f"DELETE {_CATALOG}/hub-service-keys/{{name}}": ADMINISTRATOR,
    # IoT Hub's service API
    f"GET {IOT_HUB}/devices": READER,
    f"POST {IOT_HUB}/devices": CONTRIBUTOR,
    f"POST {IOT_HUB}/devices/query": READER,
    f"GET {IOT_HUB}/statistics/devices": READER,
    f"GET {IOT_HUB}/statistics/service": READER,
    f"GET {IOT_HUB}/configurations": READER,
    f"POST {IOT_HUB}/configurations/testQueries": READER,
    f"GET {IOT_HUB}/configurations/{{name}}": READER,
    f"PUT {IOT_HUB}/configurations/{{name}}": CONTRIBUTOR,
    f"DELETE {IOT_HUB}/configurations/{{name}}": CONTRIBUTOR,
    f"DELETE {_IOT_DEVICE}/commands": CONTRIBUTOR,
    f"GET {_IOT_DEVICE}/modules": READER,
    **{
        f"{method} {place}": READER if method == "GET" else CONTRIBUTOR
        for place in (_IOT_DEVICE, f"{_IOT_DEVICE}/modules/{{module_id}}")
        for method in ("GET", "PUT", "DELETE")
    },
    **{
        f"{method} {place}": READER if method == "GET" else CONTRIBUTOR
        for place in (_IOT_TWIN, f"{_IOT_TWIN}/modules/{{module_id}}")
        for method in ("GET", "PATCH", "PUT")
    },
    f"POST {_IOT_TWIN}/methods": CONTRIBUTOR,
    f"POST {_IOT_TWIN}/modules/{{module_id}}/methods": CONTRIBUTOR,
    f"GET {_HUB_DEVICE}": READER,
    f"PATCH {_HUB_DEVICE}": CONTRIBUTOR,
    f"DELETE {_HUB_DEVICE}": CONTRIBUTOR,
    f"GET {_HUB_DEVICE}/modules": READER,
    f"POST {_HUB_DEVICE}/modules": CONTRIBUTOR,
    f"PATCH {_HUB_DEVICE}/modules/{{module_id}}": CONTRIBUTOR,
    f"DELETE {_HUB_DEVICE}/modules/{{module_id}}": CONTRIBUTOR,
    f"GET {V1}/devices": READER,
    f"GET {_DEVICE}": READER,
    f"PUT {_DEVICE}/name": CONTRIBUTOR,
    f"GET {V1}/device-names": READER,
    f"GET {_DEVICE}/check-ins": READER,
    f"GET {_DEVICE}/refusals": READER,
    f"GET {_DEVICE}/outcomes": READER,
    f"GET {_DEVICE}/error-reports": READER,
    f"GET {_DEVICE}/deployment": READER,
    f"GET {_DEVICE}/telemetry": READER,
    f"GET {_DEVICE}/telemetry/series": READER,
    f"GET {_DEVICE}/telemetry/stream": READER,
    f"GET {_DEVICE}/telemetry/raw": READER,
    f"GET {_DEVICE}/telemetry/export": READER,
    f"POST {V1}/telemetry/import": CONTRIBUTOR,
    f"GET {V1}/telemetry/retention": READER,
    f"PUT {V1}/telemetry/retention": ADMINISTRATOR,
    f"GET {V1}/templates": READER,
    f"GET {_TEMPLATE}": READER,
    f"PUT {_TEMPLATE}": CONTRIBUTOR,
    f"DELETE {_TEMPLATE}": CONTRIBUTOR,
    f"POST {_TEMPLATE}/import": CONTRIBUTOR,
    f"POST {_TEMPLATE}/publish": CONTRIBUTOR,
    f"POST {V1}/template-check": CONTRIBUTOR,
    f"POST {_TEMPLATE}/migrate": CONTRIBUTOR,
    f"GET {_TEMPLATE}/devices": READER,
    f"GET {_TEMPLATE}/versions/{{version}}": READER,
    f"DELETE {_TEMPLATE}/versions/{{version}}": CONTRIBUTOR,
    f"GET {_TEMPLATE}/versions/{{version}}/export": READER,
    # IoT Central's REST API
    **{each.key: each.role for each in OPERATIONS},
    f"GET {_DEVICE}/template": READER,
    f"PUT {_DEVICE}/template": CONTRIBUTOR,
    f"DELETE {_DEVICE}/template": CONTRIBUTOR,
    f"GET {_DEVICE}/cloud-properties": READER,
    f"PATCH {_DEVICE}/cloud-properties": CONTRIBUTOR,
    f"PATCH {_DEVICE}/properties": CONTRIBUTOR,
    f"GET {_DEVICE}/twin": READER,
    f"PATCH {_DEVICE}/twin": CONTRIBUTOR,
    f"POST {_DEVICE}/methods/{{method}}": CONTRIBUTOR,
    f"GET {_DEVICE}/files": READER,
    f"GET {_DEVICE}/files/{{upload_id}}": READER,
    f"DELETE {_DEVICE}/files/{{upload_id}}": CONTRIBUTOR,
    DEVICE_FILES: PUBLIC,  # its address is signed: hub/devices/files.py
    f"GET {_DEVICE}/messages": READER,
    f"POST {_DEVICE}/messages": CONTRIBUTOR,
    f"DELETE {_DEVICE}/messages": CONTRIBUTOR,
    f"POST {_DEVICE}/revoke": CONTRIBUTOR,
    f"POST {_DEVICE}/restore": CONTRIBUTOR,
    f"POST {_DEVICE}/decommission": CONTRIBUTOR,
    f"POST {_DEVICE}/allow-reprovision": CONTRIBUTOR,
    f"POST {_DEVICE}/manufacturing-state": CONTRIBUTOR,
    f"POST {_DEVICE}/release": CONTRIBUTOR,
    f"GET {V1}/rollouts": READER,
    f"POST {V1}/rollouts": CONTRIBUTOR,
    f"GET {_ROLLOUT}": READER,
    f"GET {_ROLLOUT}/devices": READER,
    f"POST {_ROLLOUT}/halt": CONTRIBUTOR,
    f"POST {_ROLLOUT}/resume": CONTRIBUTOR,
    f"POST {_ROLLOUT}/roll-back": CONTRIBUTOR,
    f"POST {_ROLLOUT}/cancel": CONTRIBUTOR,
    f"GET {V1}/findings": READER,
    f"GET {_FINDING}": READER,
    f"POST {_FINDING}/acknowledge": CONTRIBUTOR,
    f"POST {_FINDING}/close": CONTRIBUTOR,
    f"GET {V1}/releases": READER,
    f"POST {V1}/releases": ADMINISTRATOR,
    f"GET {V1}/releases/{{release_id}}": READER,
    f"GET {V1}/releases/{{release_id}}/corim": READER,
    f"POST {V1}/releases/corim": ADMINISTRATOR,
    f"POST {V1}/releases/{{release_id}}/withdraw": ADMINISTRATOR,
    f"POST {V1}/releases/{{release_id}}/expiry": ADMINISTRATOR,
    f"GET {V1}/catalogs/{{catalog}}/attestation-policy": READER,
    f"PATCH {V1}/catalogs/{{catalog}}/attestation-policy": ADMINISTRATOR,
    f"GET {V1}/catalogs/{{catalog}}/attestation-policy/versions": READER,
    f"GET {V1}/catalogs/{{catalog}}/attestation-policy/firmware": READER,
    f"POST {V1}/catalogs/{{catalog}}/attestation-policy/firmware": ADMINISTRATOR,
    f"DELETE {V1}/catalogs/{{catalog}}/attestation-policy/firmware/{{statement_id}}": ADMINISTRATOR,
    f"GET {_DEVICE}/firmware": READER,
    f"GET {V1}/security-floors": READER,
    f"POST {V1}/security-floors": ADMINISTRATOR,
    f"GET {V1}/images/{{image_id}}/package": READER,
    f"GET {V1}/error-reports": READER,
    f"GET {V1}/audit": READER,
    f"GET {V1}/audit/verification": READER,
    f"GET {V1}/application-templates": READER,
    f"GET {V1}/application-templates/{{name}}": READER,
    f"GET {V1}/application-templates/{{name}}/images/{{file}}": READER,
    f"POST {V1}/application-templates/{{name}}/use": CONTRIBUTOR,
    f"POST {V1}/application-templates/{{name}}/unuse": CONTRIBUTOR,
    f"GET {V1}/authorities": READER,
    f"GET {V1}/service-authorities": READER,
    f"POST {V1}/service-authorities/renew": ADMINISTRATOR,
    f"GET {V1}/dashboards": READER,
    f"GET {V1}/dashboards/{{dashboard_id}}": READER,
    f"PUT {V1}/dashboards/{{dashboard_id}}": CONTRIBUTOR,
    f"DELETE {V1}/dashboards/{{dashboard_id}}": CONTRIBUTOR,
    f"GET {V1}/dashboards/{{dashboard_id}}/data": READER,
    f"GET {V1}/dashboards/{{dashboard_id}}/live": READER,
    f"GET {V1}/groups": READER,
    f"POST {V1}/group-preview": READER,
    f"GET {V1}/groups/{{group_id}}": READER,
    f"PUT {V1}/groups/{{group_id}}": CONTRIBUTOR,
    f"DELETE {V1}/groups/{{group_id}}": CONTRIBUTOR,
    f"GET {V1}/groups/{{group_id}}/members": READER,
    f"GET {V1}/groups/{{group_id}}/uses": READER,
    f"GET {V1}/jobs/{{job_id}}/uses": READER,
    f"GET {V1}/templates/{{template_name}}/uses": READER,
    f"GET {V1}/groups/{{group_id}}/telemetry/aggregate": READER,
    f"GET {V1}/groups/{{group_id}}/telemetry/latest": READER,
    f"GET {V1}/groups/{{group_id}}/telemetry/export": READER,
    f"GET {V1}/application": READER,
    f"POST {V1}/application/import": ADMINISTRATOR,
    f"GET {V1}/jobs": READER,
    f"GET {_JOB}": READER,
    f"PUT {_JOB}": CONTRIBUTOR,
    f"DELETE {_JOB}": CONTRIBUTOR,
    f"GET {V1}/organisations": READER,
    f"GET {V1}/organisations/{{organisation}}": READER,
    f"PUT {V1}/organisations/{{organisation}}": ADMINISTRATOR,
    f"DELETE {V1}/organisations/{{organisation}}": ADMINISTRATOR,
    f"GET {V1}/organisations/{{organisation}}/devices": READER,
    f"PUT {_DEVICE}/organisation": ADMINISTRATOR,
    f"GET {V1}/exports": READER,
    f"GET {_EXPORT}": READER,
    f"PUT {_EXPORT}": CONTRIBUTOR,
    f"DELETE {_EXPORT}": CONTRIBUTOR,
    f"GET {_EXPORT}/dead-letters": READER,
    f"POST {_EXPORT}/dead-letters/replay": CONTRIBUTOR,
    f"GET {_JOB}/runs": READER,
    f"POST {_JOB}/runs": CONTRIBUTOR,
    f"GET {_JOB}/runs/{{number}}": READER,
    f"POST {_JOB}/runs/{{number}}/cancel": CONTRIBUTOR,
    f"GET {_JOB}/runs/{{number}}/results": READER,
    f"GET {_JOB}/runs/{{number}}/results.csv": READER,
    f"GET {V1}/rules": READER,
    f"POST {V1}/rule-test": CONTRIBUTOR,
    f"GET {_RULE}": READER,
    f"PUT {_RULE}": CONTRIBUTOR,
    f"DELETE {_RULE}": CONTRIBUTOR,
    **{f"POST {_RULE}/{verb}": CONTRIBUTOR for verb in ("enable", "disable", "test")},
    f"GET {_RULE}/trace/{{device_id}}": READER,
    f"GET {V1}/alerts": READER,
    f"GET {V1}/alerts/{{number}}": READER,
    f"POST {V1}/alerts/{{number}}/acknowledge": CONTRIBUTOR,
    f"GET {V1}/dead-letters": READER,
    f"POST {V1}/dead-letters/replay": CONTRIBUTOR,
    f"GET {V1}/tokens": ADMINISTRATOR,
    f"POST {V1}/tokens": ADMINISTRATOR,
    f"DELETE {V1}/tokens/{{token_id}}": ADMINISTRATOR,
    **{f"{method} {path}": READER for path in UNKNOWN_PATHS for method in METHODS},
}
# An Authorization header longer than this is no token of ours.
MAX_HEADER_CHARS = 512


def allows(role: str, needed: str) -> bool:
    """Whether ``role`` reaches ``needed``; unknown words never do."""
    return role in RANK and needed in RANK and RANK[role] >= RANK[needed]


async def admit(
    request: Request, needed: str, service: SecurityService, key: str = ""
) -> Token | EnrolmentToken | None:
    """Let a request in, or not.

    Args:
        request: Only its headers, its peer address, its path and its query are read.
        needed: The route's role in :data:`ACCESS`.
        service: Knows the tokens.
        key: The route, ``METHOD path``; without one a token of one catalog gets only what names that catalog.

    Returns:
        The operator's token, or on the factory's routes an enrolment token; None for public routes and scrapes from
        this host.

    Raises:
        UnauthenticatedError: no token, or one that is unknown, expired or revoked.
        InvalidArgumentError: a parameter of the query is there twice, or empty.
        PermissionDeniedError: the token's role is too low, or the token is for one catalog and the route is not.
        NotFoundError: the token is for another catalog.
    """
    if needed == PUBLIC or (needed == SCRAPE and "authorization" not in request.headers and from_this_host(request)):
        if key != DEVICE_FILES:  # it reads its query itself, to answer as Put Blob does
            read_query(request.query_params, key)
        return None
    if needed == SCRAPE:
        needed = READER
    signed = request.headers.get("authorization", "")
    if signed.startswith("SharedAccessSignature ") and f" {IOT_HUB}/" in key:
        token = await run_in_threadpool(service.hub_service_keys.authenticate, signed)
        if not allows(token.role, needed):
            raise PermissionDeniedError(
                f"{request.method} {request.url.path} needs the role {needed}; {token.name} has {token.role}",
                remedy=f"Make a key with the role {needed}: armillary hub-service-key create.",
            )
        request.state.scope = check_scope(request, key, token, service, read_query(request.query_params, key))
        return token
    secret = api_token(request) if is_central(request.url.path) else bearer(request)
    if needed == FACTORY:
        if secret.startswith(SECRET_PREFIX):
            admitted = await run_in_threadpool(service.enrolments.authenticate, secret)
            read_query(request.query_params, key)
            return admitted
        needed = CONTRIBUTOR
    token = await run_in_threadpool(service.tokens.authenticate, secret, takes_restricted=True)
    if not allows(token.role, needed):
        raise PermissionDeniedError(
            f"{request.method} {request.url.path} needs the role {needed}; the token {token.name!r} has {token.role}",
            remedy=f"Use a token with the role {needed}: armillary token create --role {needed}.",
        )
    query = read_query(request.query_params, key)
    if token.catalog_id is None:
        request.state.scope = check_scope(request, key, token, service, query)  # reads no records
    else:
        request.state.scope = await run_in_threadpool(check_scope, request, key, token, service, query)
    return token


def bearer(request: Request) -> str:
    """The token in the Authorization header (RFC 6750 §2.1).

    Raises:
        UnauthenticatedError: there is none.
    """
    header = request.headers.get("authorization", "")
    scheme, _, secret = header.partition(" ")
    if scheme.lower() != "bearer" or not secret.strip() or len(header) > MAX_HEADER_CHARS:
        raise UnauthenticatedError("the request carries no operator token")
    return secret.strip()


def api_token(request: Request) -> str:
    """The token in the Authorization header, in any form that scripts of IoT Central send it in.

    Raises:
        UnauthenticatedError: there is none.
    """
    header = request.headers.get("authorization", "")
    secret = secret_of_header(header) if len(header) <= MAX_HEADER_CHARS else ""
    if not secret:
        raise UnauthenticatedError("the request carries no API token")
    return secret


def from_this_host(request: Request) -> bool:
    """Whether the peer is this host itself and not a proxy on it that speaks for somebody else."""
    forwarded = any(name in request.headers for name in ("forwarded", "x-forwarded-for", "x-real-ip", "via"))
    if forwarded or request.client is None:
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
