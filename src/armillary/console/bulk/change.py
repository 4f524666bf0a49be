# SPDX-License-Identifier: Apache-2.0
"""Many rows: asked about, then changed one by one."""

from __future__ import annotations

import secrets
from typing import Final

from starlette.responses import Response

from armillary.console.bulk import pages_bulk
from armillary.console.bulk.kinds import Verb, kind_named, tag_of, verb_named
from armillary.console.frame.action_checks import Form, confirmed
from armillary.console.frame.asking import ask, catalogs, confirm, show
from armillary.console.frame.console import Visit
from armillary.console.frame.flash import done as lead_back, local_path
from armillary.console.language.say import say
from armillary.errors import ArmillaryError, ConflictError, InvalidArgumentError

# Rows of one form: more than a page of any list shows.
MAX_PICKED: Final = 100
# Device groups that are offered to move to.
MAX_GROUPS: Final = 500


def of_kind(visit: Visit) -> str:
    """The change that one has to be allowed who asks about rows: the first of the kind's."""
    return next(iter(kind_named(visit.params["kind"]).verbs.values())).change


def of_verb(visit: Visit) -> str:
    """The change that an address asks for."""
    return verb_named(kind_named(visit.params["kind"]), visit.params["verb"]).change


def choose(visit: Visit, form: Form) -> Response:
    """The page that asks about the rows that were ticked; nothing is changed."""
    kind, name = kind_named(visit.params["kind"]), form.get("verb", "")
    verb, back = verb_named(kind, name), local_path(form.get("back", kind.place))
    if not any(each.startswith(pages_bulk.PICK) for each in form):
        return lead_back(back, "none-ticked")
    ids = _picked(form)
    asked = pages_bulk.question(
        kind, name, verb, ids, kind.names(visit, ids), post=f"/bulk/{visit.params['kind']}",
        back=back, once=secrets.token_hex(16),
        groups=_groups(visit) if verb.group else (),
    )  # fmt: skip
    return confirm(visit, asked)


def perform(visit: Visit, form: Form) -> Response:
    """Change each of the rows, and say what became of it.

    Raises:
        InvalidArgumentError: no row, too many, no such tag or group, or the word was not typed.
        ConflictError: the form was sent before.
    """
    kind = kind_named(visit.params["kind"])
    verb, ids, back = verb_named(kind, visit.params["verb"]), _picked(form), local_path(form.get("back", kind.place))
    names = kind.names(visit, ids)
    asked = pages_bulk.question(kind, visit.params["verb"], verb, ids, names, post="", back=back, once="")
    confirmed(asked, form)
    _check(visit, verb, form)
    if not visit.console.once.take(visit.cookie, form.get("once", "")):
        raise ConflictError(
            "this form was sent already: its rows were changed then", remedy="Open the list, and tick rows again."
        )
    done, failed = list[str](), list[pages_bulk.Failed]()
    for each in ids:
        try:
            verb.run(visit, each, form)
        except ArmillaryError as error:
            failed.append(pages_bulk.Failed(each, f"{error.message}. {error.remedy}".strip()))
        else:
            done.append(each)
    return show(visit, pages_bulk.outcome(kind, verb, done, failed, names, back))


def _picked(form: Form) -> list[str]:
    ids = [name.removeprefix(pages_bulk.PICK) for name in form if name.startswith(pages_bulk.PICK)]
    if not ids:
        raise InvalidArgumentError("no row is selected", remedy="Go back, tick rows of the list, then send it.")
    if len(ids) > MAX_PICKED:
        raise InvalidArgumentError(f"expected at most {MAX_PICKED} rows, got {len(ids)}", remedy="Tick fewer.")
    return ids


def _check(visit: Visit, verb: Verb, form: Form) -> None:
    if verb.tag:
        tag_of(form)
    if verb.group and form.get("to", "") not in {value for value, _ in _groups(visit)}:
        raise InvalidArgumentError("no device group was chosen", remedy="Go back and choose one. Nothing was changed.")


def _groups(visit: Visit) -> list[tuple[str, str]]:
    """Device groups that devices can be moved to: ``catalog/product/group``, and words."""
    found: list[tuple[str, str]] = []
    for catalog in catalogs(visit):
        for each in ask(visit, "list_registry", catalog=catalog)["groups"]:
            place = f"{each['product']} / {each['name']}"
            found.append(
                (
                    f"{catalog}/{each['product']}/{each['name']}",
                    say("{place} of {catalog}", place=place, catalog=catalog),
                )
            )
    return found[:MAX_GROUPS]
