# SPDX-License-Identifier: Apache-2.0
"""Device templates, made and changed: models as DTDL, small forms, publishing with a report, moving devices.

A draft is changed by one step of one person at a time: every form carries the ETag of the draft that it was made of,
and whoever comes too late is told and keeps what he typed. Checks go to the API's route, which keeps nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError
from starlette.responses import Response

from armillary.api.native.platform.templates import FileBody, ImportBody, MigrateBody
from armillary.console.authored import removal
from armillary.console.authored.pages_authored import place
from armillary.console.authored.read import ask, may, show, versions_of
from armillary.console.device_templates import (
    pages_template_editor as pages,
    pages_template_forms as forms,
    pages_template_versions as versions_pages,
)
from armillary.console.device_templates.pages_template_editor import Wrong
from armillary.console.frame.desk import Desk, Visit, told
from armillary.console.frame.model import EXAMPLE, ModelEditor, Report, report_of
from armillary.console.frame.sheet import pretty
from armillary.console.operations.change import Form, confirmed, permit
from armillary.errors import ArmillaryError, ConflictError, InvalidArgumentError, ModelError, NotFoundError

# What the text is called in what is said of it.
DOCUMENT = "the model"
FASTER = "Somebody else changed the draft meanwhile."
AGAIN = "Look at it, then send this again."

Step = Callable[[Mapping[str, Any]], dict[str, Any]]


# A new one --------------------------------------------------------------------------------------------------------


def new(desk: Desk, visit: Visit) -> Response:
    """The form of a new template."""
    permit(desk, visit, "template")
    return _new(desk, visit, {}, pretty(EXAMPLE), None, None)


def check_new(desk: Desk, visit: Visit, form: Form) -> Response:
    """The form as it was sent, with what a check of its models found."""
    permit(desk, visit, "template")
    return _new(desk, visit, form, form.get("model", ""), _checked(desk, visit, form), None, status=200)


def report(desk: Desk, visit: Visit, form: Form) -> Response:
    """What a check of models found, as a part of the page that somebody types in."""
    permit(desk, visit, "template")
    return desk.fragment(visit, "model_report.html", report=_checked(desk, visit, form))


def make(desk: Desk, visit: Visit, form: Form) -> Response:
    """Make a template of models."""
    permit(desk, visit, "template")
    name, text = form.get("name", "").strip(), form.get("model", "")
    try:
        ask(desk, visit, "import_template", template_name=name, body=_import(form), if_match="")
    except ConflictError:
        wrong = (f"A template {name!r} is there already.", "Choose another name, or edit that one.")
        return _new(desk, visit, form, text, _checked(desk, visit, form), wrong)
    except (ModelError, InvalidArgumentError) as error:
        return _new(desk, visit, form, text, _checked(desk, visit, form), _wrong(error))
    return told(pages.edit_href(name), "template-made")


def _new(
    desk: Desk,
    visit: Visit,
    sent: Mapping[str, str],
    text: str,
    found: Report | None,
    wrong: Wrong | None,
    status: int = 400,
) -> Response:
    editor = ModelEditor(text=text, report_href=f"{pages.NEW}/report", check_href=f"{pages.NEW}/check", report=found)
    return show(desk, visit, pages.new_sheet(sent, editor, wrong), status if wrong or found else 200)


# The draft --------------------------------------------------------------------------------------------------------


def edit(desk: Desk, visit: Visit) -> Response:
    """The editor of a draft."""
    return draft_page(desk, visit)


def draft_page(
    desk: Desk,
    visit: Visit,
    *,
    which: str = "",
    sent: Mapping[str, str] | None = None,
    wrong: Wrong | None = None,
    found: Report | None = None,
    status: int = 200,
) -> Response:
    """The editor; ``which`` of its forms was sent, with what, and what was wrong with it.

    Forms that were not sent are as they are at first.
    """
    from armillary.twin.template.edit import SCHEMAS, meanings  # noqa: PLC0415 - a megabyte that a console without templates does not need

    name = visit.params["name"]
    draft = ask(desk, visit, "show_template", template_name=name)
    can = may(desk, visit, "template")
    made = {}
    if can:
        got: Callable[[str], tuple[Mapping[str, str], Wrong | None]] = lambda form: (  # noqa: E731 - the four forms alike
            (sent or {}, wrong) if form == which else ({}, None)
        )
        text = (sent or {}).get("model") if which == "model" else None
        editor = pages.model_editor(draft, text)
        if which == "model":
            editor = ModelEditor(
                text=editor.text, report_href=editor.report_href, check_href=editor.check_href, report=found
            )
        made = {
            "capability": pages.capability_form(draft, SCHEMAS, meanings(_dtdl_version(draft)), *got("capability")),
            "cloud": pages.cloud_form(draft, *got("cloud")),
            "view": pages.view_form(draft, *got("view")),
            "model": pages.model_form(draft, editor, *got("model")),
        }
    return show(desk, visit, pages.draft_sheet(draft, _upcoming(desk, visit, name), made, may_change=can), status)


def check(desk: Desk, visit: Visit, form: Form) -> Response:
    """The editor with what a check of the models as they were sent found."""
    permit(desk, visit, "template")
    return draft_page(desk, visit, which="model", sent=form, found=_checked(desk, visit, form))


def keep_model(desk: Desk, visit: Visit, form: Form) -> Response:
    """Keep a draft's models."""
    permit(desk, visit, "template")
    name = visit.params["name"]
    try:
        body = _import(form)
        ask(desk, visit, "import_template", template_name=name, body=body, if_match=form.get("etag", ""))
    except ConflictError:
        found = _checked(desk, visit, form)
        return draft_page(desk, visit, which="model", sent=form, wrong=(FASTER, AGAIN), found=found, status=412)
    except (ModelError, InvalidArgumentError) as error:
        found = _checked(desk, visit, form)
        return draft_page(desk, visit, which="model", sent=form, wrong=_wrong(error), found=found, status=400)
    return told(pages.edit_href(name), "draft-kept")


def add_capability(desk: Desk, visit: Visit, form: Form) -> Response:
    """Add a capability to the draft."""
    from armillary.twin.template.edit import with_capability  # noqa: PLC0415 - as above

    return _step(desk, visit, form, "capability", lambda body: with_capability(body, forms.capability_of(form)))


def keep_cloud(desk: Desk, visit: Visit, form: Form) -> Response:
    """Keep a cloud property of the draft."""
    from armillary.twin.template.edit import with_cloud_property  # noqa: PLC0415 - as above

    return _step(desk, visit, form, "cloud", lambda body: with_cloud_property(body, forms.cloud_property_of(form)))


def keep_view(desk: Desk, visit: Visit, form: Form) -> Response:
    """Keep a view of the draft."""
    from armillary.twin.template.edit import with_view  # noqa: PLC0415 - as above

    return _step(desk, visit, form, "view", lambda body: with_view(body, forms.view_of(form)))


def remove(desk: Desk, visit: Visit, form: Form) -> Response:
    """Take a capability, a cloud property or a view away from the draft."""
    from armillary.twin.template.edit import without_capability, without_cloud_property, without_view  # noqa: PLC0415 - as above

    permit(desk, visit, "template")
    name = form.get("name", "")
    steps: Mapping[str, Step] = {
        "capability": lambda body: without_capability(body, name)[0],
        "cloud": lambda body: without_cloud_property(body, name)[0],
        "view": lambda body: without_view(body, name),
    }
    what = form.get("what", "")
    if what not in steps:
        raise NotFoundError(f"nothing is called {what[:20]!r}", remedy="Use the buttons on the page.")
    again = removal.part_asked_again(desk, visit, form)
    if again is not None:
        return again
    return _step(
        desk, visit, form, "", steps[what], anchor={"capability": "capabilities", "view": "views"}.get(what, what)
    )


def _step(desk: Desk, visit: Visit, form: Form, which: str, step: Step, anchor: str = "") -> Response:
    """One small change of the draft, if it is still the one that was seen."""
    permit(desk, visit, "template")
    name = visit.params["name"]
    draft = ask(desk, visit, "show_template", template_name=name)
    try:
        body = step(draft["body"])
        ask(desk, visit, "put_template", template_name=name, body=body, if_match=form.get("etag", ""))
    except ConflictError:
        if not which:
            raise
        return draft_page(desk, visit, which=which, sent=form, wrong=(FASTER, AGAIN), status=412)
    except (ModelError, InvalidArgumentError) as error:
        if not which:
            raise
        return draft_page(desk, visit, which=which, sent=form, wrong=_wrong(error), status=400)
    anchors = {"capability": "capabilities", "view": "views"}
    return told(pages.edit_href(name, anchor or anchors.get(which, which)), "draft-kept")


# Publishing, moving, deleting -------------------------------------------------------------------------------------


def confirm_publish(desk: Desk, visit: Visit) -> Response:
    """What publishing the draft does."""
    permit(desk, visit, "template")
    name = visit.params["name"]
    draft = ask(desk, visit, "show_template", template_name=name)
    upcoming = ask(desk, visit, "publish_template", template_name=name, dry_run=True)
    return show(desk, visit, versions_pages.publish_sheet(draft, upcoming, _labels(desk, upcoming)))


def confirm_move(desk: Desk, visit: Visit) -> Response:
    """What moving all devices to a version does."""
    permit(desk, visit, "template")
    name = visit.params["name"]
    version = _version(desk, visit, visit.query.get("version", ""))
    found = ask(desk, visit, "show_template_version", template_name=name, version=version)
    body = MigrateBody(version=version, dry_run=True)
    summary = ask(desk, visit, "migrate_template", template_name=name, body=body)
    return show(desk, visit, versions_pages.move_sheet(found, version, summary, _labels(desk, summary)))


def move(desk: Desk, visit: Visit, form: Form) -> Response:
    """Give every device of a template a version of it."""
    permit(desk, visit, "template")
    name = visit.params["name"]
    version = _version(desk, visit, form.get("version", ""))
    ask(desk, visit, "migrate_template", template_name=name, body=MigrateBody(version=version))
    return told(f"{place('template', name)}?version={version}", "template-moved")


def confirm_draft(desk: Desk, visit: Visit) -> Response:
    """What beginning a draft from a published version does."""
    permit(desk, visit, "template")
    name, version = visit.params["name"], _version(desk, visit, visit.params["version"])
    return desk.page(
        visit, "confirm.html", view=versions_pages.draft_confirmation(name, version, _draft(desk, visit, name))
    )


def begin_draft(desk: Desk, visit: Visit, form: Form) -> Response:
    """Make a published version the draft."""
    permit(desk, visit, "template")
    name, version = visit.params["name"], _version(desk, visit, visit.params["version"])
    present = _draft(desk, visit, name)
    confirmed(versions_pages.draft_confirmation(name, version, present), form)
    found = ask(desk, visit, "show_template_version", template_name=name, version=version)
    body = {each: value for each, value in found["body"].items() if each != "version"}
    etag = present["etag"] if present else ""
    ask(desk, visit, "put_template", template_name=name, body=body, if_match=etag)
    return told(pages.edit_href(name), "draft-begun")


def confirm_delete(desk: Desk, visit: Visit) -> Response:
    """What deleting a template does."""
    permit(desk, visit, "template")
    name = visit.params["name"]
    versions = versions_of(desk, visit, name)
    return desk.page(visit, "confirm.html", view=versions_pages.delete_confirmation(name, versions))


def delete(desk: Desk, visit: Visit, form: Form) -> Response:
    """Delete a template with its versions."""
    permit(desk, visit, "template")
    name = visit.params["name"]
    confirmed(versions_pages.delete_confirmation(name, versions_of(desk, visit, name)), form)
    ask(desk, visit, "delete_template", template_name=name)
    return told("/templates", "deleted")


# Inside -----------------------------------------------------------------------------------------------------------


def _checked(desk: Desk, visit: Visit, form: Form) -> Report:
    try:
        body = _import(form)
    except InvalidArgumentError as error:
        return Report("bad", f"{error.message}. {error.remedy}")
    return report_of(ask(desk, visit, "check_template", body=body))


def _import(form: Form) -> ImportBody:
    values = {
        "root": form.get("root", "").strip() or None,
        "display_name": form.get("display_name", "").strip() or None,
    }
    try:
        # Browsers send lines with CR and LF; the lines that a fault names are counted by LF either way.
        return ImportBody(documents=[FileBody(name=DOCUMENT, content=form.get("model", ""))], **values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise InvalidArgumentError(f"{name}: {first['msg'][:120]}", remedy="Correct it there.") from error


def _upcoming(desk: Desk, visit: Visit, name: str) -> Mapping[str, Any] | None:
    try:
        return ask(desk, visit, "publish_template", template_name=name, dry_run=True)
    except ConflictError:  # the newest version is the same
        return None


def _draft(desk: Desk, visit: Visit, name: str) -> Mapping[str, Any] | None:
    try:
        return ask(desk, visit, "show_template", template_name=name)
    except NotFoundError:
        return None


def _version(desk: Desk, visit: Visit, asked: str) -> int:
    versions = versions_of(desk, visit, visit.params["name"])
    if asked.isdecimal() and len(asked) < 7 and int(asked) in versions:
        return int(asked)
    raise NotFoundError(f"there is no version {asked[:10]!r}", remedy="Choose one on the template's page.")


def _labels(desk: Desk, found: Mapping[str, Any]) -> Mapping[str, str]:
    return desk.sources.application.labels([each["device_id"] for each in found["named"][: versions_pages.NAMED]])


def _dtdl_version(draft: Mapping[str, Any]) -> int:
    """Of the models, as far as their context says; 2 where it does not."""
    text = json.dumps(draft["body"]["models"][:1])
    return 3 if "dtmi:dtdl:context;3" in text else 2


def _wrong(error: ArmillaryError) -> Wrong:
    return (f"{error.message}.", error.remedy)
