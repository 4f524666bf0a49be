# SPDX-License-Identifier: Apache-2.0
"""Products: until when each is supported, and one with all that it rests on. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote, urlencode

from armillary.console.evidence.pages_traces import downloads, place
from armillary.console.frame.form import Field, Form, Wrong, filled, limits
from armillary.console.frame.sheet import Cell, Section, Sheet, audit_section, number, state, text
from armillary.console.frame.states import ATTENTION, BAD, GOOD, UNKNOWN, State
from armillary.console.frame.times import HINT, time_field
from armillary.console.frame.words import counted, grouped, joined, moment, sentence, short_id
from armillary.console.language.say import apart, say, say_count
from armillary.console.releases.pages_images import place as image_place
from armillary.console.security.pages_advisories import ARTIFACTS, STATES as ADVISORY_STATES, place as advisory_place
from armillary.wire.image.naming import label_of

LIST: Final = "/products"
# Rows of a table of the trace; its note says how many there are, the download has them.
MOST_ROWS: Final = 50
SUPPORT: Final[Mapping[str, State]] = MappingProxyType(
    {
        "supported": State(GOOD, say("supported")),
        "ending": State(ATTENTION, say("ends within 180 days")),
        "ended": State(BAD, say("ended")),
        "undeclared": State(UNKNOWN, say("not declared")),
    }
)
_KEYS: Final[Mapping[str, State]] = MappingProxyType(
    {
        "in-force": State(GOOD, say("in force")),
        "ended": State(BAD, say("ended")),
        "revoked": State(BAD, say("revoked")),
    }
)


def href(catalog: str, product: str) -> str:
    """The address of a product: its trace."""
    return place("product", catalog, product)


def list_sheet(items: Sequence[Mapping[str, Any]], support: str, now: int) -> Sheet:
    """Products whose support stands as it is asked for; "": all."""
    counts = {word: sum(each["support"] == word for each in items) for word in SUPPORT}
    parts = [
        say("{count} {state}", count=grouped(many), state=SUPPORT[word].word) for word, many in counts.items() if many
    ]
    chosen: list[tuple[str, str, bool]] = [(say("all"), LIST, not support)]
    chosen += [(each.word, f"{LIST}?{urlencode({'support': word})}", word == support) for word, each in SUPPORT.items()]
    return Sheet(
        place=say("Products"),
        title=say("{products}: {parts}.", products=counted(len(items), "product"), parts=joined(parts))
        if items
        else say("No product is like this."),
        detail=say("Devices whose product has no support get no updates. Findings come 180, 90 and 30 days before."),
        links=tuple(chosen),
        sections=(
            Section(
                title=say("Products"),
                columns=(say("Product"), say("Support"), say("Ends"), say("Devices"), say("Maker"), say("Contact")),
                rows=[_product(each, now) for each in items],
                none=say("Create one: armillary product create"),
                sorts=True,
            ),
        ),
        within="security",
    )


def product_sheet(
    found: Mapping[str, Any],
    *,
    sent: Mapping[str, str] = MappingProxyType({}),
    wrong: Wrong | None = None,
    may_declare: bool,
    has_proof: bool,
    now: int,
) -> Sheet:
    """A product's trace: what ``GET /catalogs/{catalog}/products/{product}/trace`` says."""
    product, devices = found["product"], found["devices"]
    catalog, name = product["catalog"], product["name"]
    here = href(catalog, name)
    certificates = found["certificates"]
    open_ones = sum(each["devices"] > 0 for each in found["advisories"])
    return Sheet(
        place=say("Traces"),
        heading=say("Product {name}", name=name),
        title=say(
            "{name} of {catalog}: {devices}, {advisories}, support {support}.",
            name=name,
            catalog=catalog,
            devices=counted(devices["count"], "device"),
            advisories=_advisories(open_ones),
            support=SUPPORT.get(product["support"], State(UNKNOWN, say("unknown"))).word,
        ),
        detail=sentence(product["intended_use"]),
        crumbs=((say("Products"), LIST), (name, "")),
        notices=_cut(found["cut"]),
        buttons=downloads(here, has_proof=has_proof),
        facts=(
            (say("Support"), state(SUPPORT, product["support"])),
            (say("Support ends"), Cell(at=moment(product["support_ends"], now), text=say("not declared"))),
            (say("On the market since"), Cell(at=moment(product["placed_on_market"], now), text=say("not declared"))),
            (say("Maker"), text(product["manufacturer"] or say("not declared"))),
            (say("Contact"), text(product["contact"] or say("not declared"))),
            (say("Certificates in force"), text(grouped(certificates["in_force"]))),
            (say("Next of them to end"), Cell(at=moment(certificates["next_end"], now), text=say("none"))),
            (say("Trust tiers"), text(_counts(devices["tiers"]) or say("none"))),
            (say("Health"), text(_counts(devices["health"]) or say("none"))),
        ),
        sections=(
            *_made_of(found, now),
            *((audit_section(found["audit"][-MOST_ROWS:], now),) if found["audit"] else ()),
        ),
        forms=(_facts_form(product, here, sent, wrong),) if may_declare else (),
        within="security",
    )


def _made_of(found: Mapping[str, Any], now: int) -> Iterator[Section]:
    catalog = found["product"]["catalog"]
    yield Section(
        title=say("Open advisories"),
        note=_note(found["advisories"], say("the most urgent first")),
        columns=(say("Advisory"), say("Exploited"), say("Severity"), say("Devices of it")),
        rows=[_advisory(each, now) for each in found["advisories"][:MOST_ROWS]],
        none=say("None is known; what is not covered is unknown."),
    )
    yield Section(
        title=say("Releases and images"),
        note=_note([*found["releases"], *found["images"]], say("that run or are deployed")),
        columns=(say("Name"), say("Devices"), say("Advisories"), say("As of"), say("Signed by"), say("Id")),
        rows=[_artifact(each, catalog, now) for each in [*found["releases"], *found["images"]][:MOST_ROWS]],
        none=say("Nothing runs, and nothing is deployed."),
    )
    yield Section(
        title=say("Keys"),
        note=say("that it rests on, from the root's side"),
        columns=(say("Kind"), say("State"), say("Of"), say("Valid until"), say("Signed"), say("Serial")),
        rows=[_key(each, now) for each in found["keys"]],
        none=say("None."),
    )
    yield Section(
        title=say("Device groups"),
        note=_note(found["groups"], ""),
        columns=(say("Group"), say("Devices"), say("Country"), say("OS feed")),
        rows=[
            (
                text(each["name"], href=_group_href(found["product"], each["name"])),
                number(grouped(each["devices"])),
                text(each["country"] or say("not said")),
                text(each["os_feed"]),
            )
            for each in found["groups"][:MOST_ROWS]
        ],
        none=say("None."),
    )
    yield Section(
        title=say("Components"),
        note=_note(found["components"], say("of the bills of materials of these releases and images")),
        columns=(say("Component"), say("Version"), say("Ecosystem"), say("In")),
        rows=[
            (
                text(each["package"]),
                text(each["version"] or say("not said")),
                text(each["ecosystem"] or say("none")),
                text(counted(each["count"], "artifact")),
            )
            for each in found["components"][:MOST_ROWS]
        ],
        none=say("No bill of materials lists one."),
    )


def _advisory(each: Mapping[str, Any], now: int) -> tuple[Cell, ...]:
    since = moment(each["exploited_since"], now)
    return (
        text(each["advisory_id"], href=advisory_place(each["advisory_id"]), reason=each["summary"]),
        Cell(state=State(BAD, say("exploited")), reason=say("listed {since}", since=since.exact[:10]))
        if since
        else text(say("not listed")),
        text(each["severity"] or say("not scored")),
        number(grouped(each["devices"])),
    )


def _artifact(each: Mapping[str, Any], catalog: str, now: int) -> tuple[Cell, ...]:
    is_release, known, signer = each["kind"] == "release", each["id"] and each["name"], each["signer"]
    where = f"/releases/{each['id']}" if is_release else image_place(catalog, each["id"])
    called = each["name"] if is_release else label_of(each)
    return (
        text(
            called or short_id(each["id"]).short,
            href=where if known else "",
            reason=ARTIFACTS.get(each["kind"], each["kind"]),
        ),
        number(grouped(each["devices"])),
        state(ADVISORY_STATES, each["advisory_state"]),
        Cell(at=moment(each["advisories_as_of"], now), text=say("no feed")),
        text(short_id(signer).short, href=place("key", signer)) if signer else text(say("not known")),
        Cell(ident=short_id(each["id"])) if each["id"] else text(say("none here")),
    )


def _key(each: Mapping[str, Any], now: int) -> tuple[Cell, ...]:
    return (
        text(each["kind"]),
        state(_KEYS, each["state"]),
        text(each["subject"]),
        Cell(at=moment(each["not_after"], now)),
        text(_counts(each["signed"]) or say("nothing of this page")),
        text(short_id(each["serial"]).short, href=place("key", each["serial"])),
    )


def _product(each: Mapping[str, Any], now: int) -> tuple[Cell, ...]:
    return (
        text(each["name"], href=href(each["catalog"], each["name"]), reason=each["catalog"]),
        state(SUPPORT, each["support"]),
        Cell(at=moment(each["support_ends"], now), text=say("not declared")),
        number(grouped(each["devices"])),
        text(each["manufacturer"] or say("not declared")),
        text(each["contact"] or say("not declared")),
    )


def _facts_form(product: Mapping[str, Any], here: str, sent: Mapping[str, str], wrong: Wrong | None) -> Form:
    fields = (
        Field(name="support_ends", label=say("Support ends"), value=time_field(product["support_ends"]), hint=HINT),
        Field(
            name="placed_on_market",
            label=say("On the market since"),
            value=time_field(product["placed_on_market"]),
            hint=HINT,
        ),
        Field(name="manufacturer", label=say("Maker"), value=product["manufacturer"], limits=limits(maxlength=200)),
        Field(
            name="contact",
            label=say("Contact about security"),
            value=product["contact"],
            limits=limits(maxlength=200),
        ),
        Field(
            name="intended_use",
            label=say("Intended use"),
            kind="area",
            value=product["intended_use"],
            limits=limits(maxlength=1000),
        ),
    )
    return Form(
        post=here,
        label=say("Declare"),
        title=say("What is declared"),
        about=say("dossiers, drafts and alerts rest on it; empty: not declared"),
        fields=filled(fields, sent) if sent else fields,
        error=wrong,
        anchor="facts",
    )


def _group_href(product: Mapping[str, Any], group: str) -> str:
    named = (product["catalog"], product["name"], group)
    return "/".join(["/device-groups", *(quote(each, safe="") for each in named)])


def _advisories(many: int) -> str:
    return say_count(
        many, "{many} open advisory in the field", "{many} open advisories in the field", many=grouped(many)
    )


def _counts(found: Mapping[str, int]) -> str:
    return ", ".join(f"{grouped(many)} {word}" for word, many in sorted(found.items()))


def _note(rows: Sequence[object], says: str) -> str:
    further = len(rows) - MOST_ROWS
    more = say("{further} more are in the download", further=grouped(further)) if further > 0 else ""
    return apart([each for each in (says, more) if each], "; ")


def _cut(kinds: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return (
        (("attention", say("There are more {kinds} than one answer has.", kinds=joined(list(kinds)))),) if kinds else ()
    )
