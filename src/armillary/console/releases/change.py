# SPDX-License-Identifier: Apache-2.0
"""Releases and bills of materials, changed: through operations that write the audit line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from armillary.console.frame.action_checks import Form, confirmed, reason_of, verb_of
from armillary.console.frame.asking import ask
from armillary.console.frame.confirmation import Confirmation
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done
from armillary.console.frame.form import wrong_of
from armillary.console.releases import pages_feeds, pages_images, pages_releases, read
from armillary.errors import ArmillaryError, InvalidArgumentError, NotFoundError
from armillary.wire.image.bill_of_materials import MAX_BYTES

# What a form with files has besides them: fields, names, boundaries.
FORM_BYTES: Final = 64 << 10
# As many bytes of packages as the API's route takes, which has them in base64.
MAX_DRAFT_BYTES: Final = (48 << 20) + FORM_BYTES
MAX_BILL_BYTES: Final = MAX_BYTES + FORM_BYTES

Files = Mapping[str, bytes]
_FEEDS_HERE: Final = f"{pages_releases.LIST}#{pages_feeds.ANCHOR}"


def question(visit: Visit) -> Confirmation:
    """What an action on a release does."""
    verb = verb_of(visit, pages_releases.LABELS, "releases", "release's page")
    return pages_releases.confirmation(ask(visit, "show_release", release_id=visit.params["release_id"]), verb)


def of_verb(visit: Visit) -> str:
    """Which change the verb of an address is."""
    return read.CHANGES[verb_of(visit, read.CHANGES, "releases", "release's page")]


def change_release(visit: Visit, form: Form) -> Response:
    """Sign, publish, promote or revoke a release."""
    asked, verb, release_id = question(visit), visit.params["verb"], visit.params["release_id"]
    confirmed(asked, form)
    if verb == "sign":
        ask(visit, "sign_release", release_id=release_id)
    elif verb == "publish":
        ask(visit, "publish_release", release_id=release_id)
    elif verb == "promote":
        ask(visit, "promote_release", release_id=release_id)
    else:
        ask(visit, "revoke_release", release_id=release_id, reason=reason_of(form))
    return done(asked.back, f"release-{verb}")


def make_draft(visit: Visit, form: Form, files: Files) -> Response:
    """Make a draft of the packages that were sent, or of stand-ins."""
    prefix = pages_releases.PACKAGE
    packages = {name.removeprefix(prefix): data for name, data in files.items() if name.startswith(prefix)}
    try:
        made = ask(visit, "make_draft", **_draft_of(visit, form, packages))
    except ArmillaryError as error:
        return read.new_page(visit, form, wrong_of(error))
    return done(pages_releases.place(made["release_id"]), "draft-made")


def make_feed(visit: Visit, form: Form) -> Response:
    """Make an OS feed."""
    try:
        ask(visit, "make_feed", name=form.get("name", "").strip(), follows=form.get("follows", ""))
    except ArmillaryError as error:
        return read.releases_page(visit, form, wrong_of(error))
    return done(_FEEDS_HERE, "feed-made")


def feed_question(visit: Visit) -> Confirmation:
    """What deleting an OS feed does."""
    name = visit.params["feed"]
    if name not in {each["name"] for each in ask(visit, "list_feeds")["items"]}:
        raise NotFoundError(f"there is no feed {name[:40]!r}", remedy="Reload the page of releases.")
    return pages_feeds.confirmation(name, _FEEDS_HERE)


def drop_feed(visit: Visit, form: Form) -> Response:
    """Delete an OS feed."""
    confirmed(feed_question(visit), form)
    ask(visit, "drop_feed", name=visit.params["feed"])
    return done(_FEEDS_HERE, "feed-deleted")


def put_release_bill(visit: Visit, _form: Form, files: Files) -> Response:
    """Keep the bill of materials of a release."""
    release_id = visit.params["release_id"]
    try:
        ask(visit, "put_release_bill", release_id=release_id, document=_document(files))
    except InvalidArgumentError as error:
        return read.release_page(visit, wrong_of(error))
    return done(f"{pages_releases.place(release_id)}#bill", "bill-kept")


def put_image_bill(visit: Visit, _form: Form, files: Files) -> Response:
    """Keep the bill of materials of an image."""
    catalog, image_id = visit.params["catalog"], visit.params["image_id"]
    try:
        ask(visit, "put_image_bill", catalog=catalog, image_id=image_id, document=_document(files))
    except InvalidArgumentError as error:
        return read.image_page(visit, wrong_of(error))
    return done(f"{pages_images.place(catalog, image_id)}#bill", "bill-kept")


def _draft_of(visit: Visit, form: Form, packages: Files) -> dict[str, Any]:
    """What the form says of a draft; the service checks the values.

    Raises:
        InvalidArgumentError: packages were sent and stand-ins wanted, neither, or a number that is none.
    """
    built = bool(form.get("built"))
    if built == bool(packages):
        raise InvalidArgumentError(
            "components: expected a package for each of the chip's, or stand-ins that are built here, got "
            + ("both" if built else "neither"),
            remedy="Choose the files, or tick the box. Files that were chosen have to be chosen again.",
        )
    return {
        "chip": visit.query.get("chip", ""),
        "version": form.get("version", "").strip(),
        "feed": form.get("feed", ""),
        "os_abi": _whole(form, "os_abi"),
        "security_version": _whole(form, "security_version"),
        "packages": packages or None,
    }


def _whole(form: Form, name: str) -> int:
    typed = form.get(name, "").strip()
    if not typed.isdecimal() or len(typed) > 10:
        raise InvalidArgumentError(f"{name}: expected a whole number, got {typed[:20]!r}", remedy="Correct it there.")
    return int(typed)


def _document(files: Files) -> bytes:
    if "document" not in files:
        raise InvalidArgumentError(
            "bill of materials: no file was chosen", remedy="Choose a CycloneDX or SPDX document."
        )
    return files["document"]
