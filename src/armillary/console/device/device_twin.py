# SPDX-License-Identifier: Apache-2.0
"""A device's twin, looked at and changed: a form by its template, a merge patch, cloud properties.

Two steps: the first says what will be sent and sends nothing, the second sends it if nobody was faster. For devices
that attest and for hub devices alike.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from armillary.console.device import device_template, pages_device_template, pages_twin
from armillary.console.device.device_data import known
from armillary.console.device.pages_device_data import place
from armillary.console.device.pages_twin import TwinDevice
from armillary.console.device.subject import Subject, show_tab, subject_of
from armillary.console.frame.action_checks import Form
from armillary.console.frame.asking import ask, may, show
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.frame.form import Form as FormView, Wrong, wrong_of
from armillary.console.frame.sheet import parsed
from armillary.console.language.say import say
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError

# Code of an If-Match that does not hold.
STALE = "request.precondition"


def page(visit: Visit, _subject: Subject) -> Response:
    """The page."""
    return twin_page(visit)


def twin_page(
    visit: Visit,
    *,
    values: tuple[Form, Wrong] | None = None,
    patch: tuple[str, Wrong] | None = None,
    cloud: tuple[Form, Wrong] | None = None,
    status: int = 400,
) -> Response:
    """The page, and what was sent by one of its forms with what was wrong with it."""
    device = _device(visit)
    forms: list[FormView] = []
    if may(visit, "patch_device_twin"):
        if pages_twin.writable(device.capabilities):
            forms.append(pages_twin.want_form(device, *(values or (None, None))))
        forms.append(pages_twin.patch_form(device, *(patch or (None, None))))
    if device.cloud and may(visit, "set_cloud_properties"):
        forms.append(pages_twin.cloud_form(device, *(cloud or (None, None))))
    if may(visit, "set_device_template") and may(visit, "list_templates"):
        forms.append(pages_device_template.template_form(device.found, device_template.offered(visit)))
    made = pages_twin.twin_sheet(device, tuple(forms))
    return show_tab(visit, subject_of(visit, "twin"), made, status if values or patch or cloud else 200)


def review(visit: Visit, form: Form) -> Response:
    """Say what a form or a patch would send."""
    device = _device(visit)
    if form.get("kind") == "values":
        try:
            wanted = pages_twin.wanted_of(form, device.capabilities, pages_twin.seen_of(form))
            patch = _patch(visit, device.device_id, wanted)
        except InvalidArgumentError as error:
            return twin_page(visit, values=(form, wrong_of(error)))
        return _review(visit, device, form, "values", wanted, patch)
    text = form.get("patch", "")
    try:
        patch = parsed(text)
    except InvalidArgumentError as error:
        return twin_page(visit, patch=(text, wrong_of(error)))
    return _review(visit, device, form, "patch", {}, patch)


def send(visit: Visit, form: Form) -> Response:
    """Send what was reviewed, if the twin is still the one that was seen."""
    device_id, etag = known(visit), form.get("etag", "")
    kind, text = form.get("kind", ""), form.get("patch", "")
    wanted: dict[str, Any] = {}
    try:
        patch = parsed(text)
        if kind == "values":
            wanted = parsed(form.get("wanted", ""))
            ask(visit, "set_device_properties", device_id=device_id, values=wanted, if_match=etag)
        else:
            ask(visit, "patch_device_twin", device_id=device_id, desired=patch, if_match=etag)
    except InvalidArgumentError as error:
        return twin_page(visit, patch=(text, wrong_of(error)))
    except ConflictError as error:
        if error.code != STALE:
            raise
        return _review(visit, _device(visit), form, kind, wanted, patch)
    return done(place(device_id, "twin"), "desired")


def keep_cloud(visit: Visit, form: Form) -> Response:
    """Keep cloud properties."""
    device = _device(visit)
    try:
        seen = pages_twin.seen_of(form)
        change = pages_twin.cloud_of(form, device.cloud, seen)
        if change:
            etag = form.get("etag", "")
            ask(visit, "set_cloud_properties", device_id=device.device_id, change=change, if_match=etag)
    except InvalidArgumentError as error:
        return twin_page(visit, cloud=(form, wrong_of(error)))
    except ConflictError as error:
        if error.code != STALE:
            raise
        now = _device(visit).found["cloud_properties"]
        words = pages_twin.conflict_words(pages_twin.changes(seen, now))
        wrong = (
            say("Someone else changed {words} since you opened this page.", words=words),
            say("Save again to use the values of the form."),
        )
        return twin_page(visit, cloud=(form, wrong), status=412)
    return done(f"{place(device.device_id, 'twin')}#cloud", "cloud-kept")


def _review(
    visit: Visit, device: TwinDevice, form: Form, kind: str, wanted: dict[str, Any], patch: dict[str, Any]
) -> Response:
    is_stale = form.get("etag", "") != device.twin["etag"]
    conflict = None
    if is_stale:
        conflict = pages_twin.changes(pages_twin.seen_of(form), device.desired)
    made = pages_twin.review_sheet(device, patch, kind=kind, wanted=wanted, conflict=conflict)
    return show(visit, made, 412 if is_stale else 200)


def _patch(visit: Visit, device_id: str, wanted: dict[str, Any]) -> dict[str, Any]:
    return dict(ask(visit, "properties_patch", device_id=device_id, values=wanted))


def _device(visit: Visit) -> TwinDevice:
    device_id = known(visit)
    found = ask(visit, "show_device_template", device_id=device_id)
    template = None
    if found["template"] and not found["is_missing"] and may(visit, "show_template_version"):
        try:
            template = ask(visit, "show_template_version", template_name=found["template"], version=found["version"])
        except NotFoundError:  # deleted since
            template = None
    return TwinDevice(
        device_id=device_id,
        label=visit.sources.application.labels([device_id])[device_id],
        found=found,
        twin=ask(visit, "device_twin", device_id=device_id),
        template=template,
        connected=bool(visit.sources.hub.connected(device_id)),
    )
