# SPDX-License-Identifier: Apache-2.0
"""Uploads kept and roll-outs started: through operations that write the audit line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from starlette.responses import RedirectResponse, Response

from armillary.console.frame.action_checks import CHANGED, Form, verb_of
from armillary.console.frame.asking import ask, meant, show
from armillary.console.frame.confirmation import WIDE_DEVICES
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.frame.form import wrong_of
from armillary.console.language.say import say
from armillary.console.new_rollout import pages_new_rollout as pages, pages_upload, policy_form, read
from armillary.console.operations.pages_rollout import NEW, new_href
from armillary.console.releases import pages_images
from armillary.console.releases.pages_releases import rollout_place
from armillary.errors import ArmillaryError, InvalidArgumentError
from armillary.rollout.policy import RolloutPolicy
from armillary.service.uploads.held_packages import MAX_UPLOAD_BYTES

# What a form with files has besides them: fields, names, boundaries.
MAX_FORM_BYTES: Final = MAX_UPLOAD_BYTES + (64 << 10)
Files = Mapping[str, bytes]
Question = Callable[[dict[str, Any]], dict[str, Any]]
# Fields that are no part of a form's values.
_OWN: Final = frozenset({"seen", "word"})


def take_images(visit: Visit, form: Form, files: Files) -> Response:
    """Read image packages, and show what is in them."""
    catalog, group = form.get("catalog", ""), form.get("group", "")
    try:
        held = ask(visit, "hold_packages", catalog=catalog, packages=list(files.values()))
    except ArmillaryError as error:
        return read.upload_page(visit, form, wrong_of(error))
    return RedirectResponse(pages_upload.place(catalog, held["held_id"], group), 303)


def answer_held(visit: Visit, form: Form) -> Response:
    """Keep packages that were looked at, or drop them."""
    verb = verb_of(visit, pages_upload.VERBS, "uploads")
    named, group = read.held_named(visit), form.get("group", "")
    catalog = named["catalog"]
    if verb == "drop":
        ask(visit, "drop_held", **named)
        return done(pages_images.list_href(catalog), "images-dropped")
    try:
        kept = ask(visit, "keep_held", **named, versions=_versions(form))["items"]
    except InvalidArgumentError as error:
        return read.held_page(visit, group, form, wrong_of(error))
    if group:
        return done(new_href(f"{catalog}/{group}", [each["image_id"] for each in kept]), "images-kept")
    return done(pages_images.list_href(catalog), "images-kept")


def _versions(form: Form) -> dict[str, str]:
    """The versions that were typed, by image id."""
    typed = {name: value.strip() for name, value in form.items() if name.startswith(pages_upload.VERSION)}
    return {name.removeprefix(pages_upload.VERSION): value for name, value in typed.items() if value}


def roll_out(visit: Visit, form: Form) -> Response:
    """Review, change or start a roll-out of images."""
    target = form.get("target", "")
    named = read.group_of(visit, target)
    images = [name.removeprefix(pages.IMAGE) for name in form if name.startswith(pages.IMAGE)]

    def with_policy(policy: RolloutPolicy) -> dict[str, Any]:
        if not images:
            raise InvalidArgumentError("Images: expected at least one, got none", remedy="Tick those that it brings.")
        return {**named, "images": images, "policy": policy}

    return _step(
        visit,
        form,
        post=NEW,
        crumbs=((say("Roll-outs"), "/updates"), (say("New roll-out"), new_href(target)), (say("Review"), "")),
        again=partial(read.rollout_page, visit, target),
        preview=lambda given: ask(visit, "preview_rollout", **given),
        start=lambda given: ask(visit, "start_rollout", **given),
        with_policy=with_policy,
        prefix=f"{named['catalog']}/",
    )


def roll_out_os(visit: Visit, form: Form) -> Response:
    """Review, change or start a roll-out of an OS release."""
    release_id = visit.params["release_id"]
    post = rollout_place(release_id)

    def with_policy(policy: RolloutPolicy) -> dict[str, Any]:
        only = form.get("only", "") or None
        return {"release_id": release_id, "feed": form.get("feed", ""), "only": only, "policy": policy}

    return _step(
        visit,
        form,
        post=post,
        crumbs=((say("Releases"), "/releases"), (say("New roll-out"), post), (say("Review"), "")),
        again=partial(read.os_page, visit),
        preview=lambda given: ask(visit, "preview_os_rollout", **given),
        start=lambda given: ask(visit, "start_os_rollout", **given),
        with_policy=with_policy,
        prefix="",
    )


def _step(
    visit: Visit,
    form: Form,
    *,
    post: str,
    crumbs: tuple[tuple[str, str], ...],
    again: Callable[..., Response],
    preview: Question,
    start: Question,
    with_policy: Callable[[RolloutPolicy], dict[str, Any]],
    prefix: str,
) -> Response:
    """One step of preparing a roll-out; an error shows the form (``again``) with all that was typed."""
    verb = verb_of(visit, pages.VERBS, "new roll-outs")
    sent = {name: value for name, value in form.items() if name not in _OWN}
    if verb == "edit":
        if sent.pop("more", ""):
            sent[policy_form.RINGS] = str(policy_form.ring_count(sent) + 1)
        return again(sent, None)
    try:
        policy = policy_form.policy_of(sent, partial(meant, visit), lambda line: prefix + line)
        given = with_policy(policy)
        found = preview(given)
        if verb == "review" or form.get("seen") != pages.seen_of(found):
            notice = CHANGED if verb == "start" and form.get("seen") else ""
            made = pages.review_sheet(post, found, policy, sent, crumbs, notice)
            return show(visit, made, 409 if notice else 200)
        if found["devices"] > WIDE_DEVICES and form.get("word", "").strip() != "start":
            raise InvalidArgumentError("the word to confirm was not typed", remedy="Review it again, and type: start.")
        begun = start(given)
    except ArmillaryError as error:
        return again(sent, wrong_of(error))
    proposed = begun["state"] == "proposed"
    return done(f"/updates/{begun['rollout_id']}", "rollout-proposed" if proposed else "rollout-started")
