# SPDX-License-Identifier: Apache-2.0
"""The bill of materials of a release or an image: whether there is one, what it lists, and the form that takes one.

Pure: answers in, parts of a page out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlencode

from armillary.console.frame.form import Field, Form, Wrong
from armillary.console.frame.sheet import LIST_LINES, Cell, Section, text
from armillary.console.frame.states import ATTENTION, BAD, GOOD, UNKNOWN, State
from armillary.console.frame.words import counted, grouped, moment, size
from armillary.console.language.say import say
from armillary.wire.image.bill_of_materials import title_of

# What is searched of each component.
_SEARCHED: Final = ("name", "version", "purl")
# What one that lacks is worth, by the setting ``bill_of_materials``.
_LACKING: Final[Mapping[str, State]] = MappingProxyType(
    {
        "required": State(BAD, say("missing, required")),
        "warned": State(ATTENTION, say("missing")),
        "off": State(UNKNOWN, say("none")),
    }
)
_MEANS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "required": say("None was added: without one it is not published or deployed."),
        "warned": say("None was added: what is published or deployed without one has a note in the audit log."),
        "off": say("None was added, and none is asked for."),
    }
)


def bill_state(bill: Mapping[str, Any] | None, policy: str) -> State:
    """Whether there is one, and if not, what that means."""
    if bill is None:
        return _LACKING[policy]
    return State(GOOD, counted(bill["components"], "component"))


def bill_cell(bill: Mapping[str, Any] | None, policy: str) -> Cell:
    """The same in a cell."""
    return Cell(state=bill_state(bill, policy))


def search_form(here: str, asked: str) -> Form:
    """Find components by name, version, package URL or licence; ``here`` is the page's address."""
    field = Field(name="q", label=say("Name, version or licence"), value=asked)
    return Form(post=f"{here}#bill", label=say("Search the bill"), fields=(field,))


def bill_section(
    found: Mapping[str, Any], here: str, *, asked: str, after: int, now: int, form: Form | None
) -> Section:
    """The table of components that match ``asked``, from number ``after`` on.

    ``found`` has ``bill``, ``bill_components`` and ``bill_policy``; ``form`` takes a document, None where the operator
    may give none.
    """
    bill = found["bill"]
    if bill is None:
        none = _MEANS[found["bill_policy"]]
        return Section(title=say("Bill of materials"), columns=(), rows=(), none=none, anchor="bill", form=form)
    matching = [each for each in found["bill_components"] if _matches(each, asked.casefold())]
    shown, following = matching[after : after + LIST_LINES], after + LIST_LINES
    added = moment(bill["added_at"], now)
    says = say(
        "{document}, {size}, added by {added_by} {when}",
        document=title_of(bill["spec_version"]),
        size=size(bill["size"]),
        added_by=bill["added_by"],
        when=added.relative if added else "",
    )
    if asked:
        components = counted(bill["components"], "component")
        says = say(
            "{matching} of {components} match, {says}",
            matching=grouped(len(matching)),
            components=components,
            says=says,
        )
    query = {**({"q": asked} if asked else {}), "after": following}
    return Section(
        title=say("Bill of materials"),
        note=says,
        columns=(say("Component"), say("Version"), say("Type"), say("Licence"), say("Package URL")),
        rows=[_row(each) for each in shown],
        none=say("No component matches {asked}.", asked=asked) if asked else say("It lists no component."),
        next_href=f"{here}?{urlencode(query)}#bill" if following < len(matching) else "",
        anchor="bill",
        form=form,
    )


def bill_form(post: str, *, has_one: bool, wrong: Wrong | None = None) -> Form:
    """The form that takes a document, in the place of the one before."""
    field = Field(
        name="document",
        label=say("CycloneDX or SPDX document"),
        kind="file",
        hint=say("JSON, CycloneDX 1.2 to 1.7 or SPDX 2.2 and 2.3, at most 8 MiB"),
        limits=(("accept", ".json,application/json"),),
        required=True,
    )
    made = Form(post=post, label=say("Add the bill of materials"), fields=(field,), title=say("Add one"), error=wrong)
    return replace(made, label=say("Replace the bill of materials"), title=say("Replace it")) if has_one else made


def _matches(component: Mapping[str, Any], asked: str) -> bool:
    said = (*(component[name] for name in _SEARCHED), *component["licences"])
    return any(asked in each.casefold() for each in said)


def _row(component: Mapping[str, Any]) -> tuple[Cell, ...]:
    within = (
        say("part of another, {levels} down", levels=counted(component["depth"], "level")) if component["depth"] else ""
    )
    return (
        text(component["name"], reason=within),
        text(component["version"] or say("not said")),
        text(component["kind"]),
        text(", ".join(component["licences"]) or say("not said")),
        Cell(text=component["purl"], code=True) if component["purl"] else text(say("none")),
    )
