# SPDX-License-Identifier: Apache-2.0
"""Device templates, made and changed: models as DTDL, small forms, publishing with a report, moving devices.

A draft is changed by one step of one person at a time: every form carries the ETag of the draft that it was made of,
and whoever sends one for an older draft gets a page that says so, with what was typed. A check stores nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import Response

from armillary.api.native.bodies import ImportBody
from armillary.console.device_templates import (
    pages_template_editor as pages,
    pages_template_forms as forms,
    pages_template_versions as versions_pages,
)
from armillary.console.device_templates.read import versions_of
from armillary.console.frame.action_checks import Form, asked_again, body_of, confirmed
from armillary.console.frame.asking import ask, may, show
from armillary.console.frame.confirmation import Confirmation
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.frame.form import Wrong, wrong_of
from armillary.console.frame.model import EXAMPLE, ModelEditor, Report, report_of
from armillary.console.frame.sheet import place, pretty
from armillary.console.frame.words import counted_page
from armillary.console.language.say import say
from armillary.errors import ConflictError, InvalidArgumentError, ModelError, NotFoundError

# What the text is called in what is said of it.
DOCUMENT = "the model"
FASTER = say("The draft was changed by someone else since you opened it.")
AGAIN = say("Look at it, then send this again.")

# Devices that are counted; more are said to be "or more".
COUNTED = 1000
# Parts of a draft that are taken away by a button -> where ``show_template`` lists them.
PARTS: Mapping[str, str] = {"capability": "capabilities", "cloud": "cloud_properties", "view": "views"}

Step = Callable[[Mapping[str, Any]], dict[str, Any]]


# A new one --------------------------------------------------------------------------------------------------------


def new(visit: Visit) -> Response:
    """The form of a new template."""
    return _new(visit, {}, pretty(EXAMPLE), None, None)


def check_new(visit: Visit, form: Form) -> Response:
    """The form as it was sent, with what a check of its models found."""
    return _new(visit, form, form.get("model", ""), _checked(visit, form), None, status=200)


def report(visit: Visit, form: Form) -> Response:
    """What a check of models found, as a part of the page that somebody types in."""
    return visit.fragment("model_report.html", report=_checked(visit, form))


def make(visit: Visit, form: Form) -> Response:
    """Make a template of models."""
    name, text = form.get("name", "").strip(), form.get("model", "")
    try:
        ask(visit, "import_template", template_name=name, body=_import(form), if_match="")
    except ConflictError:
        wrong = (
            say("A template {name} is there already.", name=repr(name)),
            say("Choose another name, or edit that one."),
        )
        return _new(visit, form, text, _checked(visit, form), wrong)
    except (ModelError, InvalidArgumentError) as error:
        return _new(visit, form, text, _checked(visit, form), wrong_of(error))
    return done(pages.edit_href(name), "template-made")


def _new(
    visit: Visit, sent: Mapping[str, str], text: str, found: Report | None, wrong: Wrong | None, status: int = 400
) -> Response:
    editor = ModelEditor(text=text, report_href=f"{pages.NEW}/report", check_href=f"{pages.NEW}/check", report=found)
    return show(visit, pages.new_sheet(sent, editor, wrong), status if wrong or found else 200)


# The draft --------------------------------------------------------------------------------------------------------


def edit(visit: Visit) -> Response:
    """The editor of a draft."""
    return draft_page(visit)


def draft_page(
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
    draft = ask(visit, "show_template", template_name=name)
    can = may(visit, "put_template", draft)
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
    return show(visit, pages.draft_sheet(draft, _upcoming(visit, name) if can else None, made, may_change=can), status)


def check(visit: Visit, form: Form) -> Response:
    """The editor with what a check of the models as they were sent found."""
    return draft_page(visit, which="model", sent=form, found=_checked(visit, form))


def keep_model(visit: Visit, form: Form) -> Response:
    """Keep a draft's models."""
    name = visit.params["name"]
    try:
        body = _import(form)
        ask(visit, "import_template", template_name=name, body=body, if_match=form.get("etag", ""))
    except ConflictError:
        found = _checked(visit, form)
        return draft_page(visit, which="model", sent=form, wrong=(FASTER, AGAIN), found=found, status=412)
    except (ModelError, InvalidArgumentError) as error:
        found = _checked(visit, form)
        return draft_page(visit, which="model", sent=form, wrong=wrong_of(error), found=found, status=400)
    return done(pages.edit_href(name), "draft-kept")


def add_capability(visit: Visit, form: Form) -> Response:
    """Add a capability to the draft."""
    from armillary.twin.template.edit import with_capability  # noqa: PLC0415 - as above

    return _step(visit, form, "capability", lambda body: with_capability(body, forms.capability_of(form)))


def keep_cloud(visit: Visit, form: Form) -> Response:
    """Keep a cloud property of the draft."""
    from armillary.twin.template.edit import with_cloud_property  # noqa: PLC0415 - as above

    return _step(visit, form, "cloud", lambda body: with_cloud_property(body, forms.cloud_property_of(form)))


def keep_view(visit: Visit, form: Form) -> Response:
    """Keep a view of the draft."""
    from armillary.twin.template.edit import with_view  # noqa: PLC0415 - as above

    return _step(visit, form, "view", lambda body: with_view(body, forms.view_of(form)))


def remove(visit: Visit, form: Form) -> Response:
    """Take a capability, a cloud property or a view away from the draft."""
    from armillary.twin.template.edit import without_capability, without_cloud_property, without_view  # noqa: PLC0415 - as above

    name = form.get("name", "")
    steps: Mapping[str, Step] = {
        "capability": lambda body: without_capability(body, name)[0],
        "cloud": lambda body: without_cloud_property(body, name)[0],
        "view": lambda body: without_view(body, name),
    }
    again = asked_again(visit, part_question(visit, form), form)
    if again is not None:
        return again
    return _step(visit, form, form["what"], steps[form["what"]], is_button=True)


def part_question(visit: Visit, form: Form | None = None) -> Confirmation:
    """What taking a capability, cloud property or view away from a draft does, which the address or a form names."""
    sent = visit.query if form is None else form
    template, what, name = visit.params["name"], sent.get("what", ""), sent.get("name", "")
    if what not in PARTS:
        raise NotFoundError(f"nothing is called {what[:20]!r}", remedy="Use the buttons on the page.")
    draft = ask(visit, "show_template", template_name=template)
    if name not in {each["name"] for each in draft[PARTS[what]]}:
        raise NotFoundError(f"the draft has no {what} {name[:64]!r}", remedy="Reload the page.")
    uses = () if what == "view" else ask(visit, "template_uses", template_name=template, value=name)["items"]
    devices = ask(visit, "template_devices", template_name=template, limit=COUNTED)
    versions = versions_of(visit, template)
    return versions_pages.capability_removal(draft, what, name, uses, counted_page(devices, "device"), versions)


def _step(visit: Visit, form: Form, which: str, step: Step, *, is_button: bool = False) -> Response:
    """One small change of the draft, if it is still the one that was seen; a button has no form to be shown again."""
    name = visit.params["name"]
    draft = ask(visit, "show_template", template_name=name)
    try:
        body = step(draft["body"])
        ask(visit, "put_template", template_name=name, body=body, if_match=form.get("etag", ""))
    except ConflictError:
        if is_button:
            raise
        return draft_page(visit, which=which, sent=form, wrong=(FASTER, AGAIN), status=412)
    except (ModelError, InvalidArgumentError) as error:
        if is_button:
            raise
        return draft_page(visit, which=which, sent=form, wrong=wrong_of(error), status=400)
    return done(pages.edit_href(name, {"capability": "capabilities", "view": "views"}.get(which, which)), "draft-kept")


# Publishing, moving, deleting -------------------------------------------------------------------------------------


def publish_template(visit: Visit, _form: Form) -> Response:
    """Publish a template's draft."""
    ask(visit, "publish_template", template_name=visit.params["name"])
    return done(place("template", visit.params["name"]), "published")


def confirm_publish(visit: Visit) -> Response:
    """What publishing the draft does."""
    name = visit.params["name"]
    draft = ask(visit, "show_template", template_name=name)
    upcoming = ask(visit, "upcoming_template", template_name=name)
    return show(visit, versions_pages.publish_sheet(draft, upcoming, _labels(visit, upcoming)))


def confirm_move(visit: Visit) -> Response:
    """What moving all devices to a version does."""
    name = visit.params["name"]
    version = _version(visit, visit.query.get("version", ""))
    found = ask(visit, "show_template_version", template_name=name, version=version)
    summary = ask(visit, "migrate_template", template_name=name, version=version, dry_run=True)
    return show(visit, versions_pages.move_sheet(found, version, summary, _labels(visit, summary)))


def move(visit: Visit, form: Form) -> Response:
    """Give every device of a template a version of it."""
    name = visit.params["name"]
    version = _version(visit, form.get("version", ""))
    ask(visit, "migrate_template", template_name=name, version=version)
    return done(f"{place('template', name)}?version={version}", "template-moved")


def draft_question(visit: Visit) -> Confirmation:
    """What beginning a draft from a published version does."""
    name, version = visit.params["name"], _version(visit, visit.params["version"])
    return versions_pages.draft_confirmation(name, version, _draft(visit, name))


def begin_draft(visit: Visit, form: Form) -> Response:
    """Make a published version the draft."""
    confirmed(draft_question(visit), form)
    name, version = visit.params["name"], int(visit.params["version"])
    present = _draft(visit, name)
    found = ask(visit, "show_template_version", template_name=name, version=version)
    body = {each: value for each, value in found["body"].items() if each != "version"}
    etag = present["etag"] if present else ""
    ask(visit, "put_template", template_name=name, body=body, if_match=etag)
    return done(pages.edit_href(name), "draft-begun")


def delete_question(visit: Visit) -> Confirmation:
    """What deleting a template does."""
    name = visit.params["name"]
    return versions_pages.delete_confirmation(name, versions_of(visit, name))


def delete(visit: Visit, form: Form) -> Response:
    """Delete a template with its versions."""
    confirmed(delete_question(visit), form)
    ask(visit, "delete_template", template_name=visit.params["name"])
    return done("/templates", "deleted")


# Inside -----------------------------------------------------------------------------------------------------------


def _checked(visit: Visit, form: Form) -> Report:
    try:
        body = _import(form)
    except InvalidArgumentError as error:
        return Report("bad", f"{error.message}. {error.remedy}")
    return report_of(ask(visit, "check_template", body=body))


def _import(form: Form) -> ImportBody:
    # Browsers send lines with CR and LF; the lines that a fault names are counted by LF either way.
    values: dict[str, Any] = {name: form.get(name, "").strip() or None for name in ("root", "display_name")}
    return body_of(ImportBody, {"documents": [{"name": DOCUMENT, "content": form.get("model", "")}], **values})


def _upcoming(visit: Visit, name: str) -> Mapping[str, Any] | None:
    try:
        return ask(visit, "upcoming_template", template_name=name)
    except ConflictError:  # the newest version is the same
        return None


def _draft(visit: Visit, name: str) -> Mapping[str, Any] | None:
    try:
        return ask(visit, "show_template", template_name=name)
    except NotFoundError:
        return None


def _version(visit: Visit, asked: str) -> int:
    versions = versions_of(visit, visit.params["name"])
    if asked.isdecimal() and len(asked) < 7 and int(asked) in versions:
        return int(asked)
    raise NotFoundError(f"there is no version {asked[:10]!r}", remedy="Choose one on the template's page.")


def _labels(visit: Visit, found: Mapping[str, Any]) -> Mapping[str, str]:
    return visit.sources.application.labels([each["device_id"] for each in found["named"][: versions_pages.NAMED]])


def _dtdl_version(draft: Mapping[str, Any]) -> int:
    """Of the models, as far as their context says; 2 where it does not."""
    text = json.dumps(draft["body"]["models"][:1])
    return 3 if "dtmi:dtdl:context;3" in text else 2
