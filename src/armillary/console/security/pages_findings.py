# SPDX-License-Identifier: Apache-2.0
"""The inbox of findings: what needs me, of which kinds, and how many? Pure: API answers in, a view model out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlencode

from armillary.console.frame.confirmation import WIDE_DEVICES, Confirmation, touching
from armillary.console.frame.form import Field, Form, choices, offered
from armillary.console.frame.states import SEVERITIES, SEVERITY, State, state_of
from armillary.console.frame.words import Called, Moment, called, counted, grouped, joined, moment, sentence
from armillary.console.language.say import say, say_count
from armillary.console.security.finding_words import kind_meaning, kind_words
from armillary.wire.device.finding import KINDS
from armillary.wire.text.device_name import MAX_NAME_CHARACTERS

LIST: Final = "/findings"
STATUSES = ("open", "acknowledged", "closed")
STATUS_WORDS: Mapping[str, str] = MappingProxyType(
    {"open": say("open"), "acknowledged": say("acknowledged"), "closed": say("closed")}
)
# Devices named on the page; the count says how many there are.
NAMED_DEVICES = 3

# status -> (new status, word on the button). A closed finding stays closed: seen again, a new one opens.
MOVES: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "open": (("acknowledged", say("Acknowledge")), ("closed", say("Close"))),
        "acknowledged": (("closed", say("Close")),),
        "closed": (),
    }
)


@dataclass(frozen=True, slots=True)
class FindingLine:
    """One finding: severity, cause, extent, proposed action and what can be done with it here."""

    id: str
    severity: State
    title: str
    cause: str
    extent: str
    devices: tuple[Called, ...]
    proposed: str
    status: str
    moves: tuple[tuple[str, str], ...]
    first: Moment | None
    last: Moment | None
    seen: str
    rollout_href: str
    href: str
    kind: str


@dataclass(frozen=True, slots=True)
class Filters:
    """What of findings is shown; "" is all. ``device`` is what was typed."""

    status: str = "open"
    severity: str = ""
    kind: str = ""
    catalog: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True)
class KindLine:
    """How many findings of a kind there are, and where they are; ``acknowledge`` leads to the page that asks."""

    words: str
    means: str
    href: str
    severities: tuple[tuple[State, str], ...]
    findings: str
    last: Moment | None
    acknowledge: str


# Columns of the list, and what each is sorted by.
COLUMNS: Mapping[str, Callable[[FindingLine], object] | None] = MappingProxyType(
    {
        say("Severity"): lambda line: line.severity,
        say("Finding"): lambda line: line.title,
        say("Extent"): lambda line: line.extent,
        say("Last seen"): lambda line: line.last,
        say("Do next"): None,
        say("Actions"): None,
    }
)


# What the exported list has besides.
EXPORTED: Mapping[str, Callable[[FindingLine], object]] = MappingProxyType(
    {
        "Cause": lambda line: line.cause,
        "Do next": lambda line: line.proposed,
        "Devices": lambda line: " ".join(each.id.full for each in line.devices),
        "First seen": lambda line: line.first,
        "Status": lambda line: line.status,
        "Finding id": lambda line: line.id,
    }
)


def findings_sentence(items: Sequence[Mapping[str, Any]], status: str, *, more: bool) -> str:
    """First line: how many need somebody, by severity."""
    if not items:
        return {
            "open": say("Nothing needs you: no finding is open."),
            "acknowledged": say("No finding is acknowledged and waiting."),
        }.get(status, say("No finding was closed yet."))
    counts = {word: sum(1 for item in items if item["severity"] == word) for word in SEVERITIES}
    return _counted(counts, len(items), status, on_page=more)


def _counted(counts: Mapping[str, int], total: int, status: str, *, on_page: bool = False) -> str:
    here = {"many": grouped(total), "parts": _of_severities(counts)}
    match status, on_page:
        case "open", False:
            return say_count(total, "{many} finding needs you: {parts}.", "{many} findings need you: {parts}.", **here)
        case "open", True:
            return say_count(
                total,
                "{many} finding on this page needs you: {parts}.",
                "{many} findings on this page need you: {parts}.",
                **here,
            )
        case _, False:
            state = STATUS_WORDS.get(status, status)
            return say_count(
                total,
                "{many} finding is {state}: {parts}.",
                "{many} findings are {state}: {parts}.",
                state=state,
                **here,
            )
        case _:
            state = STATUS_WORDS.get(status, status)
            return say_count(
                total,
                "{many} finding on this page is {state}: {parts}.",
                "{many} findings on this page are {state}: {parts}.",
                state=state,
                **here,
            )


def _of_severities(counts: Mapping[str, int]) -> str:
    """``2 critical and 1 low``."""
    return joined(
        [
            say("{count} {severity}", count=grouped(count), severity=SEVERITY[severity].word)
            for severity, count in counts.items()
            if count
        ]
    )


def named_devices(items: Sequence[Mapping[str, Any]]) -> list[str]:
    """The devices that findings name, each once."""
    return sorted({device for item in items for device in item["device_ids"][:NAMED_DEVICES]})


def finding_line(item: Mapping[str, Any], names: Mapping[str, str], *, may_act: bool, now: int) -> FindingLine:
    """One finding of the list."""
    named = item["device_ids"][:NAMED_DEVICES]
    return FindingLine(
        id=item["finding_id"],
        severity=state_of(SEVERITY, item["severity"]),
        title=item["title"],
        cause=sentence(item["cause"]),
        extent=counted(item["device_count"], "device") if item["device_count"] else say("no device"),
        devices=tuple(called(device, names.get(device, "")) for device in named),
        proposed=sentence(item["proposed_action"]),
        status=item["status"],
        moves=MOVES.get(item["status"], ()) if may_act else (),
        first=moment(item["first_seen"], now),
        last=moment(item["last_seen"], now),
        seen=say("once") if item["count"] == 1 else say("{count} times", count=grouped(item["count"])),
        rollout_href=f"/updates/{item['rollout_id']}" if item["rollout_id"] else "",
        href=f"{LIST}/{item['finding_id']}",
        kind=kind_words(item["kind"]),
    )


def by_severity(items: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Gravest first, then newest; a severity that is not known comes first, so that it is not overlooked."""
    order = {severity: index for index, severity in enumerate(SEVERITIES)}
    return sorted(items, key=lambda item: (order.get(item["severity"], -1), -item["last_seen"]))


def filters(given: Mapping[str, str], catalogs: Sequence[str], *, whole: bool) -> Filters:
    """What an address or a form asks for.

    ``whole`` is whether who asks speaks for all of ``catalogs``, so that one may be chosen.

    Raises:
        InvalidArgumentError: a word that there is not, which would seem to filter.
    """
    return Filters(
        status=offered("status", given.get("status", ""), STATUSES) or "open",
        severity=offered("severity", given.get("severity", ""), SEVERITIES),
        kind=offered("kind", given.get("kind", ""), KINDS),
        catalog=offered("catalog", given.get("catalog", ""), catalogs) if whole else "",
        device=given.get("device", "").strip()[:MAX_NAME_CHARACTERS],
    )


def href(chosen: Filters, **more: str) -> str:
    """The address of what is chosen."""
    given = {
        "status": "" if chosen.status == "open" else chosen.status,
        "severity": chosen.severity,
        "kind": chosen.kind,
        "catalog": chosen.catalog,
        "device": chosen.device,
        **more,
    }
    query = urlencode({name: value for name, value in given.items() if value})
    return f"{LIST}?{query}" if query else LIST


def statuses(chosen: Filters) -> tuple[tuple[str, str, bool], ...]:
    """Word, address and whether it is shown, of each status; the other filters stay."""
    return tuple((STATUS_WORDS[word], href(replace(chosen, status=word)), word == chosen.status) for word in STATUSES)


def search_form(chosen: Filters, catalogs: Sequence[str]) -> Form:
    """The filters beside the status."""
    kinds = tuple((each, kind_words(each)) for each in sorted(KINDS))
    fields = [
        Field(name="device", label=say("Device: name or id"), value=chosen.device),
        Field(
            name="severity",
            label=say("Severity"),
            kind="select",
            value=chosen.severity,
            choices=(("", say("every severity")), *((word, SEVERITY[word].word) for word in SEVERITIES)),
        ),
        Field(
            name="kind", label=say("Kind"), kind="select", value=chosen.kind, choices=(("", say("every kind")), *kinds)
        ),
    ]
    if len(catalogs) > 1:
        named = choices(catalogs, none=say("every catalog"))
        fields.append(Field(name="catalog", label=say("Catalog"), kind="select", value=chosen.catalog, choices=named))
    hidden = (("status", chosen.status),) if chosen.status != "open" else ()
    return Form(post=LIST, label=say("Show"), fields=tuple(fields), hidden=hidden)


def inbox_sentence(page: Mapping[str, Any], kinds: Sequence[Mapping[str, Any]], chosen: Filters) -> str:
    """First line: how many there are of what is chosen, by severity; all are counted where all kinds are."""
    if not page["items"] and chosen != Filters(chosen.status):
        return say("No {status} finding is like this.", status=STATUS_WORDS[chosen.status])
    if not kinds or chosen.kind:
        return findings_sentence(page["items"], chosen.status, more=page["next"] is not None)
    counts = {word: sum(each["severities"].get(word, 0) for each in kinds) for word in SEVERITIES}
    return _counted(counts, sum(each["findings"] for each in kinds), chosen.status)


def kind_lines(kinds: Sequence[Mapping[str, Any]], chosen: Filters, *, may_act: bool, now: int) -> tuple[KindLine, ...]:
    """The kinds with findings, the gravest first; nothing where one is chosen already."""
    if chosen.kind or chosen.device:
        return ()
    may_move = may_act and chosen.status == "open"
    return tuple(
        KindLine(
            words=kind_words(each["kind"]),
            means=kind_meaning(each["kind"], each["means"]),
            href=href(replace(chosen, kind=each["kind"])),
            severities=tuple(
                (state_of(SEVERITY, word), grouped(count))
                for word in SEVERITIES
                if (count := each["severities"].get(word, 0))
            ),
            findings=grouped(each["findings"]),
            last=moment(each["last_seen"], now),
            acknowledge=_acknowledge_href(each["kind"], chosen) if may_move else "",
        )
        for each in kinds
    )


def kind_confirmation(kind: Mapping[str, Any], chosen: Filters) -> Confirmation:
    """What acknowledging all open findings of a kind does; ``kind`` is its line of ``GET /finding-kinds``."""
    many = counted(kind["findings"], "open finding")
    counts = {word: kind["severities"].get(word, 0) for word in SEVERITIES}
    where = say("{many} in {catalog}", many=many, catalog=chosen.catalog) if chosen.catalog else many
    is_wide = kind["findings"] > WIDE_DEVICES
    return Confirmation(
        title=say("Acknowledge {many} of the kind {kind}?", many=many, kind=kind_words(kind["kind"])),
        touches=touching(
            say(
                "{findings}: {parts}. What comes in after this page stays open.",
                findings=where,
                parts=_of_severities(counts),
            ),
            say("Lists them as acknowledged: somebody is on them, and they hold no roll-out any more."),
            say("Devices, roll-outs and images: nothing is changed on them."),
            say("None as a whole; one that is closed opens anew when it is seen again."),
        ),
        label=say("Acknowledge"),
        post=_acknowledge_href(kind["kind"], Filters()),
        back=href(replace(chosen, kind="")),
        word="acknowledge" if is_wide else "",
        wide=say("This acknowledges {many}.", many=many),
        hidden=(
            ("severity", chosen.severity),
            ("catalog", chosen.catalog),
            ("findings", str(kind["findings"])),
            ("up_to", str(kind["newest"])),
        ),
    )


def _acknowledge_href(kind: str, chosen: Filters) -> str:
    given = {"severity": chosen.severity, "catalog": chosen.catalog}
    query = urlencode({name: value for name, value in given.items() if value})
    return f"/finding-kinds/{kind}/acknowledge" + (f"?{query}" if query else "")
