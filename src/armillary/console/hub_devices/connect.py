# SPDX-License-Identifier: Apache-2.0
"""The page that shows how a hub device with a symmetric key connects, and says when its first message came."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from armillary.api.native.bodies import HubDeviceBody
from armillary.console.device.subject import admission_of, catalog_name
from armillary.console.frame.action_checks import Form, body_of, permit
from armillary.console.frame.asking import ask, may
from armillary.console.frame.console import Visit
from armillary.console.hub_devices import pages_connect as pages
from armillary.errors import ConflictError


def read(visit: Visit) -> Response:
    """The page of a device that is there; its key is shown nowhere, so that it stands as a word to replace."""
    found = ask(visit, "show_hub_device", device_id=visit.params["device_id"])
    if found["authentication"] != "sas":
        raise ConflictError(
            f"{found['device_id']} shows a certificate, and these clients show a symmetric key",
            remedy="The guide Azure IoT clients has the calls for certificates.",
        )
    return _page(visit, found, None)


def make(visit: Visit, form: Form) -> Response:
    """Make a hub device with a symmetric key, admit its kind where that was ticked, and show how it connects."""
    admits = bool(form.get("admit"))
    if admits:
        permit(visit, "change_admission")
    catalog = form.get("catalog", "")
    values = {"device_id": form.get("device_id", "").strip(), "authentication": "sas"}
    made = ask(visit, "make_hub_device", catalog=catalog, body=body_of(HubDeviceBody, values))
    if admits:
        ask(visit, "change_admission", catalog=catalog, symmetric_keys=True)
    return made_page(visit, made)


def made_page(visit: Visit, made: Mapping[str, Any]) -> Response:
    """The page of a device that was just made, with its keys this once."""
    return _page(visit, ask(visit, "show_hub_device", device_id=made["device_id"]), made)


def root_certificate(visit: Visit) -> Response:
    """The file that clients verify the service with."""
    pem = ask(visit, "service_root")["pem"]
    headers = {"Content-Disposition": f'attachment; filename="{pages.ROOT_FILE}"'}
    return Response(pem, media_type="application/x-pem-file", headers=headers)


def _page(visit: Visit, found: Mapping[str, Any], made: Mapping[str, Any] | None) -> Response:
    device_id, catalog = found["device_id"], catalog_name(visit, found["catalog_id"])
    values = visit.sources.hub.last_values(device_id)
    called = visit.sources.hub.called(device_id)
    came = pages.heard(
        values, {each["metric"]: called(each["metric"]) for each in values}, connected=found["connected"], now=visit.now
    )
    hub = ask(visit, "hub_address")
    view = pages.page(
        found,
        came,
        (hub["host"], hub["port"]),
        made=made,
        catalog=catalog,
        is_admitted=admission_of(visit, dict(found)).get("symmetric_keys", True),
        may_admit=may(visit, "change_admission"),
        now=visit.now,
    )
    return visit.page("connect_device.html", view=view)
