# SPDX-License-Identifier: Apache-2.0
"""IoT Hub's service API (2021-04-12): identity registry, twins and direct methods, as ``azure-iot-hub`` calls them.

Clients ask for ``/devices/...`` with ``api-version``; ``iot_hub/shape.py`` brings these requests below ``/iothub``,
apart from the console's pages. Devices that attest are shown and reached, but not made, changed or revoked here.
"""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any, Final, NamedTuple

from fastapi import Body, Depends, Header, Query
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from armillary.api.http.route import CONTRIBUTOR, READER
from armillary.api.http.routes import actor_of, hub_of, operator_of, platform_of, service_of
from armillary.api.iot_hub import call
from armillary.api.iot_hub.call import ROOT, row
from armillary.api.iot_hub.documents import decode_etag, device_document, etag_header, form_of, twin_document
from armillary.api.views import hub_devices as views_hub
from armillary.errors import ArmillaryError, ConflictError, InvalidArgumentError
from armillary.service.hub_access.identities import IdentityForm
from armillary.wire.hub.credentials import is_attested_id

# IoT Hub's own limits: devices of one list, and of one bulk request.
MAX_LISTED: Final = 1000
MAX_BULK: Final = 100

IfMatch = Annotated[str | None, Header(max_length=200)]
Document = Annotated[Any, Body()]


class Named(NamedTuple):
    """The device that a path names, or a module of it."""

    device_id: str
    module_id: str | None = None


async def named(request: Request) -> Named:
    """What the path names (a FastAPI dependency)."""
    return Named(request.path_params["device_id"], request.path_params.get("module_id"))


Place = Annotated[Named, Depends(named)]


def list_devices(request: Request, top: Annotated[int, Query(ge=1, le=MAX_LISTED)] = MAX_LISTED) -> Response:
    """The first devices of the hub by id."""
    connected = hub_of(request).connected()
    found = list(islice(call.devices_after(request, ""), top))
    keys = call.keys_shown(request, found)
    return JSONResponse(
        [device_document(each, call.seen(request, each, connected), keys.get(call.identity_of(each))) for each in found]
    )


def list_modules(request: Request, device_id: str) -> Response:
    """The modules of a device."""
    device = call.identity_of(call.find(request, device_id))
    found = service_of(request).hub_access.identities.modules(device)
    keys = call.keys_shown(request, found)
    return JSONResponse([device_document(each, call.seen(request, each), keys.get(each.identity)) for each in found])


def bulk_devices(request: Request, body: Document) -> Response:
    """Make, change or delete up to 100 devices; each on its own."""
    if not isinstance(body, list) or len(body) > MAX_BULK:
        raise InvalidArgumentError(f"body: expected a list of at most {MAX_BULK} devices", remedy="Send fewer.")
    errors = []
    for each in body:
        document = call.body_object(each)
        device_id = str(document.get("id") or document.get("deviceId") or "")
        try:
            _bulk_one(request, device_id, document)
        except ArmillaryError as error:
            errors.append({"deviceId": device_id, "errorCode": error.code, "errorStatus": error.message})
    return JSONResponse({"isSuccessful": not errors, "errors": errors, "warnings": []}, 400 if errors else 200)


def purge_messages(request: Request, device_id: str) -> Response:
    """Take back every cloud-to-device message that waits."""
    identity = call.identity_of(call.find(request, device_id))
    count = hub_of(request).operations.purge_messages(actor_of(request), identity)
    return JSONResponse({"totalMessagesPurged": count, "deviceId": identity, "moduleId": None})


# -- devices and modules ----------------------------------------------------------------------------------------------


def get_identity(request: Request, place: Place) -> Response:
    """A device or module; only a caller that signs with a service key which reveals its keys sees them."""
    found = call.find(request, *place)
    keys = call.keys_shown(request, [found]).get(call.identity_of(found))
    document = device_document(found, call.seen(request, found), keys)
    return JSONResponse(document, headers=etag_header(document))


def put_identity(request: Request, place: Place, body: Document, if_match: IfMatch = None) -> Response:
    """Make a device or module, or with If-Match change it; new keys are in this answer and in no other."""
    catalog, (device_id, module_id) = call.catalog_of(request), place
    document = call.body_object(body)
    for name, expected in (("deviceId", device_id), ("moduleId", module_id)):
        if document.get(name) not in (None, expected):
            raise InvalidArgumentError(f"{name}: expected that of the address", remedy="Correct the body.")
    form = form_of(document)
    if form.authentication == "certificateAuthority" and not (module_id and is_attested_id(device_id)):
        raise InvalidArgumentError(
            "authentication.type: devices with a certificate of an authority register themselves by an enrolment group",
            remedy="Make the group: armillary hub-enrolment create --group --certificate FILE.",
        )
    if module_id is not None:
        device_id = call.identity_of(call.find(request, device_id))
        if form.authentication == "certificateAuthority":
            # A module of a device that attests shows its device's certificate.
            form = IdentityForm(authentication="device", is_enabled=form.is_enabled, status_reason=form.status_reason)
    identity = device_id if module_id is None else f"{device_id}/{module_id}"
    if if_match is not None:
        call.find(request, device_id, module_id)
    made, keys = service_of(request).hub_access.identities.put(
        identity,
        form,
        actor=operator_of(request).name,
        catalog_id=catalog.catalog_id,
        if_match=decode_etag(if_match),
        create=if_match is None,
    )
    if if_match is None:
        views_hub.begin_anew(hub_of(request), platform_of(request), made, actor_of(request))
    keys = keys or call.keys_shown(request, [made]).get(made.identity)
    answer = device_document(made, call.seen(request, made), keys)
    return JSONResponse(answer, headers=etag_header(answer))


def delete_identity(request: Request, place: Place, if_match: IfMatch = None) -> Response:
    """Delete a module, or a device with its modules."""
    found = call.find(request, *place)
    if place.module_id is None and is_attested_id(place.device_id):
        raise ConflictError(
            f"device {place.device_id[:16]}... attests: it is decommissioned, not deleted",
            remedy="armillary device decommission --device ID --reason TEXT.",
        )
    parts = service_of(request), hub_of(request), platform_of(request)
    views_hub.delete(*parts, actor_of(request), call.identity_of(found), decode_etag(if_match))
    return Response(status_code=204)


def _bulk_one(request: Request, device_id: str, document: dict[str, Any]) -> None:
    given_mode = document.get("importMode") or "createOrUpdate"
    mode = given_mode.lower() if isinstance(given_mode, str) else ""  # clients write it either way
    etag = document.get("eTag")
    given = None if not isinstance(etag, str) else etag
    if mode.endswith("ifmatchetag") and not given:
        raise InvalidArgumentError(
            f"eTag: expected the device's, as importMode is {given_mode}, got none",
            remedy="Send the eTag that was read with the device, or the mode without IfMatchETag.",
        )
    if mode == "create":
        put_identity(request, Named(device_id), {**document, "deviceId": device_id}, None)
    elif mode in ("update", "updateifmatchetag"):
        put_identity(request, Named(device_id), {**document, "deviceId": device_id}, given or "*")
    elif mode in ("delete", "deleteifmatchetag"):
        delete_identity(request, Named(device_id), given or "*")
    elif mode == "createorupdate":
        try:
            put_identity(request, Named(device_id), {**document, "deviceId": device_id}, None)
        except ConflictError:
            put_identity(request, Named(device_id), {**document, "deviceId": device_id}, "*")
    else:
        raise InvalidArgumentError(
            f"importMode: expected create, update, createOrUpdate, delete, updateIfMatchETag or deleteIfMatchETag, "
            f"got {given_mode!a:.40}",
            remedy="Correct it; twins are changed by PATCH /twins/ID.",
        )


def get_twin(request: Request, place: Place) -> Response:
    """The twin of a device or module."""
    found = call.find(request, *place)
    twin = hub_of(request).twins.get(call.identity_of(found))
    document = twin_document(found, twin, call.seen(request, found))
    return JSONResponse(document, headers=etag_header(document))


def patch_twin(request: Request, place: Place, body: Document, if_match: IfMatch = None) -> Response:
    """Merge tags and desired properties into a twin, both or neither."""
    return _change_twin(request, place, body, if_match, replace=False)


def put_twin(request: Request, place: Place, body: Document, if_match: IfMatch = None) -> Response:
    """Replace tags and desired properties of a twin."""
    return _change_twin(request, place, body, if_match, replace=True)


def _change_twin(request: Request, place: Named, body: Any, if_match: str | None, *, replace: bool) -> Response:
    found = call.find(request, *place)
    identity, document = call.identity_of(found), call.body_object(body)
    properties = call.body_object(document.get("properties") or {})
    sections = {"tags": document, "desired": properties}
    # A section that is null is cleared (RFC 7396): the whole of it is nothing. One that is not there is left.
    given = {name: {} if place[name] is None else place[name] for name, place in sections.items() if name in place}
    whole = frozenset(name for name in given if replace or sections[name][name] is None)
    desired = given.get("desired")
    if isinstance(desired, dict):  # what a client read carries members that are not its own to write
        desired = {name: value for name, value in desired.items() if not name.startswith("$")}
    hub_of(request).operations.change_twin(
        actor_of(request),
        identity,
        tags=given.get("tags"),
        desired=desired,
        whole=whole,
        if_match=decode_etag(if_match),
        detail={"section": " ".join(given)},
    )
    return get_twin(request, place)


async def invoke_method(request: Request, place: Place, body: Document) -> Response:
    """Call a direct method of a connected device or module."""
    found = await run_in_threadpool(call.find, request, *place)
    identity, document = call.identity_of(found), call.body_object(body)
    name, wait = document.get("methodName"), document.get("responseTimeoutInSeconds")
    connect = document.get("connectTimeoutInSeconds") or 0
    if not isinstance(name, str) or not all(isinstance(each, (int, type(None))) for each in (wait, connect)):
        raise InvalidArgumentError(
            "methodName, responseTimeoutInSeconds, connectTimeoutInSeconds: expected text and numbers",
            remedy="Correct the call.",
        )
    timeout_s, connect_s = float(wait or 30), float(connect)
    result = await hub_of(request).operations.invoke_method(
        actor_of(request), identity, name, document.get("payload"), timeout_s, connect_timeout_s=connect_s
    )
    return JSONResponse({"status": result.status, "payload": result.payload})


_DEVICE, _TWIN = ROOT + "/devices/{device_id}", ROOT + "/twins/{device_id}"
_MODULE = "/modules/{module_id}"
ROUTES = (
    row("GET", ROOT + "/devices", list_devices, READER),
    row("POST", ROOT + "/devices", bulk_devices, CONTRIBUTOR),
    row("DELETE", _DEVICE + "/commands", purge_messages, CONTRIBUTOR),
    row("GET", _DEVICE + "/modules", list_modules, READER),
    *(row("GET", place, get_identity, READER) for place in (_DEVICE, _DEVICE + _MODULE)),
    *(row("PUT", place, put_identity, CONTRIBUTOR) for place in (_DEVICE, _DEVICE + _MODULE)),
    *(row("DELETE", place, delete_identity, CONTRIBUTOR) for place in (_DEVICE, _DEVICE + _MODULE)),
    *(row("GET", place, get_twin, READER) for place in (_TWIN, _TWIN + _MODULE)),
    *(row("PATCH", place, patch_twin, CONTRIBUTOR) for place in (_TWIN, _TWIN + _MODULE)),
    *(row("PUT", place, put_twin, CONTRIBUTOR) for place in (_TWIN, _TWIN + _MODULE)),
    *(row("POST", place + "/methods", invoke_method, CONTRIBUTOR) for place in (_TWIN, _TWIN + _MODULE)),
)
