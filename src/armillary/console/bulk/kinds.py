# SPDX-License-Identifier: Apache-2.0
"""What can be done with many rows of a list at once, by the list's kind; and how each is done with one row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from armillary.console.frame.action_checks import Form, reason_of
from armillary.console.frame.asking import ask, may
from armillary.console.frame.console import Visit
from armillary.console.frame.sheet import Bulk
from armillary.console.language.say import say
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.service.hub_access.operations import IdentityChange

# One row, by its id, and what the page that asked was filled in with.
Run = Callable[[Visit, str, Form], None]
# Characters of a tag's name and value, as the twin takes them.
MAX_TAG_CHARACTERS: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """Something that is done with each of many rows.

    Attributes:
        label: On the button.
        past: ``disabled``, for what is said afterwards.
        change: The question that one has to be allowed.
        does, leaves, undo: What the page that asks says.
        reason: Whether it asks for a reason.
        tag: Whether it asks for a tag.
        group: Whether it asks for a device group.
        word: The word to type, "" for none.
    """

    label: str
    past: str
    change: str
    run: Run
    does: str
    leaves: str
    undo: str
    reason: bool = False
    tag: bool = False
    group: bool = False
    word: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A list whose rows can be ticked.

    Attributes:
        one, many: What a row is.
        place: Where the list is.
        names: Ids -> what they are called.
        verbs: By their names in addresses, in the order of the buttons.
    """

    one: str
    many: str
    place: str
    names: Callable[[Visit, Sequence[str]], Mapping[str, str]]
    verbs: Mapping[str, Verb]


def bulk_of(visit: Visit, kind: str) -> Bulk | None:
    """What the operator may do with many rows of a list; None where nothing."""
    found = [(verb, each.label) for verb, each in KINDS[kind].verbs.items() if may(visit, each.change)]
    return Bulk(post=f"/bulk/{kind}", verbs=tuple(found), back=visit.here) if found else None


def kind_named(name: str) -> Kind:
    """A kind. Raises NotFoundError."""
    if name not in KINDS:
        raise NotFoundError(f"there is no list {name[:40]!r}", remedy="Use the buttons below the list.")
    return KINDS[name]


def verb_named(kind: Kind, name: str) -> Verb:
    """What is done with rows of a kind. Raises NotFoundError."""
    if name not in kind.verbs:
        raise NotFoundError(f"there is no action {name[:40]!r}", remedy="Use the buttons below the list.")
    return kind.verbs[name]


def tag_of(form: Form) -> tuple[str, str]:
    """The tag that was typed, ``name=value``; an empty value takes it away.

    Raises:
        InvalidArgumentError: it is none.
    """
    name, sign, value = form.get("typed", "").strip().partition("=")
    name, value = name.strip(), value.strip()
    if not sign or not name or len(name) > MAX_TAG_CHARACTERS or len(value) > MAX_TAG_CHARACTERS:
        raise InvalidArgumentError(
            "tag: expected a name and a value, such as site=Oslo", remedy="Go back and type it. Nothing was changed."
        )
    return name, value


# Devices ----------------------------------------------------------------------------------------------------------


def _labels(visit: Visit, ids: Sequence[str]) -> Mapping[str, str]:
    return visit.sources.application.labels(list(ids))


def _tag(visit: Visit, device_id: str, form: Form) -> None:
    name, value = tag_of(form)
    ask(visit, "tag_device", device_id=device_id, name=name, value=value or None)


def _check_now(visit: Visit, device_id: str, _form: Form) -> None:
    ask(visit, "check_now", device_id=device_id)


def _move(visit: Visit, device_id: str, form: Form) -> None:
    catalog, product, group = [*form.get("to", "").split("/"), "", ""][:3]
    ask(visit, "move_device", device_id=device_id, owner=catalog, product=product, device_group=group)


def _quarantine(visit: Visit, device_id: str, form: Form) -> None:
    visit.sources.fleet.quarantine(device_id, reason_of(form))


def _release(visit: Visit, device_id: str, _form: Form) -> None:
    visit.sources.fleet.release(device_id)


def _enable(visit: Visit, device_id: str, _form: Form) -> None:
    ask(visit, "change_hub_device", device_id=device_id, change=IdentityChange(is_enabled=True))


def _disable(visit: Visit, device_id: str, form: Form) -> None:
    change = IdentityChange(is_enabled=False, status_reason=reason_of(form))
    ask(visit, "change_hub_device", device_id=device_id, change=change)


def _delete_hub_device(visit: Visit, device_id: str, _form: Form) -> None:
    ask(visit, "delete_hub_device", device_id=device_id)


_TAG: Final = Verb(
    label=say("Tag"),
    past=say("tagged"),
    change="tag_device",
    run=_tag,
    does=say("Each gets the tag, or another value of it; site= takes the tag away."),
    leaves=say("Other tags, and what devices want and report."),
    undo=say("Tag them again."),
    tag=True,
)

# Rules, findings --------------------------------------------------------------------------------------------------


def _rule_names(visit: Visit, ids: Sequence[str]) -> Mapping[str, str]:
    return _each(ids, lambda one: str(ask(visit, "show_rule", rule_id=one)["body"]["name"]))


def _finding_names(visit: Visit, ids: Sequence[str]) -> Mapping[str, str]:
    return _each(ids, lambda one: str(visit.sources.watch.finding(one)["title"]))


def _each(ids: Sequence[str], name_of: Callable[[str], str]) -> Mapping[str, str]:
    found = {}
    for one in ids:
        try:
            found[one] = name_of(one)
        except NotFoundError:  # deleted since, or another's: doing it says so
            found[one] = one
    return found


def _switch(*, is_on: bool) -> Run:
    return lambda visit, rule_id, _: _ask(visit, "switch_rule", rule_id=rule_id, enabled=is_on)


def _ask(visit: Visit, question: str, **arguments: object) -> None:
    ask(visit, question, **arguments)


def _delete_rule(visit: Visit, rule_id: str, _form: Form) -> None:
    document = ask(visit, "show_rule", rule_id=rule_id)
    visit.sources.application.drop("rule", rule_id, document["etag"])


def _finding(status: str) -> Run:
    return lambda visit, finding_id, _: visit.sources.watch.move(finding_id, status)


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "devices": Kind(
            one=say("device"),
            many=say("devices"),
            place="/fleet",
            names=_labels,
            verbs={
                "check-now": Verb(
                    label=say("Check in now"),
                    past=say("asked to check in"),
                    change="check_now",
                    run=_check_now,
                    does=say("Each is asked to check in now."),
                    leaves=say("What it runs."),
                    undo=say("Nothing needs to be undone."),
                ),
                "move": Verb(
                    label=say("Move to group"),
                    past=say("moved"),
                    change="move_device",
                    run=_move,
                    does=say("Each gets the deployment and the schedule of the group from its next check-in on."),
                    leaves=say("Its catalog, its name, its twin."),
                    undo=say("Move them back."),
                    group=True,
                ),
                "tag": _TAG,
                "quarantine": Verb(
                    label=say("Quarantine"),
                    past=say("in quarantine"),
                    change="fleet.quarantine",
                    run=_quarantine,
                    does=say("Each may check in and update, and nothing else."),
                    leaves=say("Its data and its place in the fleet."),
                    undo=say("Release them."),
                    reason=True,
                    word="quarantine",
                ),
                "release": Verb(
                    label=say("Release"),
                    past=say("released"),
                    change="fleet.release",
                    run=_release,
                    does=say("Each proves itself at its next check-in, and then may all it may."),
                    leaves=say("Two machines with one identity are held again."),
                    undo=say("Put them in quarantine again."),
                ),
            },
        ),
        "hub-devices": Kind(
            one=say("hub device"),
            many=say("hub devices"),
            place="/hub-devices",
            names=_labels,
            verbs={
                "tag": _TAG,
                "disable": Verb(
                    label=say("Disable"),
                    past=say("disabled"),
                    change="change_hub_device",
                    run=_disable,
                    does=say("Each connection is closed, and it is blocked."),
                    leaves=say("Twins, messages and files."),
                    undo=say("Enable them."),
                    reason=True,
                ),
                "enable": Verb(
                    label=say("Enable"),
                    past=say("enabled"),
                    change="change_hub_device",
                    run=_enable,
                    does=say("Each may connect with what it shows."),
                    leaves=say("Keys and certificates."),
                    undo=say("Disable them."),
                ),
                "delete": Verb(
                    label=say("Delete"),
                    past=say("deleted"),
                    change="delete_hub_device",
                    run=_delete_hub_device,
                    does=say("Each is deleted with its twin, messages and files."),
                    leaves=say("The audit log."),
                    undo=say("Cannot be undone."),
                    word="delete",
                ),
            },
        ),
        "rules": Kind(
            one=say("rule"),
            many=say("rules"),
            place="/rules",
            names=_rule_names,
            verbs={
                "enable": Verb(
                    label=say("Switch on"),
                    past=say("switched on"),
                    change="switch_rule",
                    run=_switch(is_on=True),
                    does=say("Each looks at messages from the next one on."),
                    leaves=say("Alerts that are there."),
                    undo=say("Switch them off."),
                ),
                "disable": Verb(
                    label=say("Switch off"),
                    past=say("switched off"),
                    change="switch_rule",
                    run=_switch(is_on=False),
                    does=say("Nothing of them is evaluated."),
                    leaves=say("Alerts that are there."),
                    undo=say("Switch them on."),
                ),
                "delete": Verb(
                    label=say("Delete"),
                    past=say("deleted"),
                    change="rule",
                    run=_delete_rule,
                    does=say("Each is deleted; its actions are done no more."),
                    leaves=say("Alerts that are there."),
                    undo=say("Versions stay in the application's history for a while."),
                    word="delete",
                ),
            },
        ),
        "findings": Kind(
            one=say("finding"),
            many=say("findings"),
            place="/findings",
            names=_finding_names,
            verbs={
                "acknowledge": Verb(
                    label=say("Acknowledge"),
                    past=say("acknowledged"),
                    change="watch.move",
                    run=_finding("acknowledged"),
                    does=say("Each is listed under that status until somebody closes it."),
                    leaves=say("What the watch sees from now on."),
                    undo=say("Cannot be undone."),
                ),
                "close": Verb(
                    label=say("Close"),
                    past=say("closed"),
                    change="watch.move",
                    run=_finding("closed"),
                    does=say("Each is closed; if it is seen again, a new finding opens."),
                    leaves=say("What the watch sees from now on."),
                    undo=say("Cannot be undone."),
                ),
            },
        ),
    }
)
