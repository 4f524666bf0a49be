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
from armillary.console.releases.pages_images import place as image_place
from armillary.console.security.pages_advisories import STATES as ADVISORY_STATES, place as advisory_place
from armillary.wire.image.naming import label_of

LIST: Final = "/products"
# Rows of a table of the trace; its note says how many there are, the download has them.
MOST_ROWS: Final = 50
SUPPORT: Final[Mapping[str, State]] = MappingProxyType(
    {
        "supported": State(GOOD, "supported"),
        "ending": State(ATTENTION, "ends within 180 days"),
        "ended": State(BAD, "ended"),
        "undeclared": State(UNKNOWN, "not declared"),
    }
)
_KEYS: Final[Mapping[str, State]] = MappingProxyType(
    {
        "in-force": State(GOOD, "in force"),
        "ended": State(BAD, "ended"),
        "revoked": State(BAD, "revoked"),
    }
)


def href(catalog: str, product: str) -> str:
    """The address of a product: its trace."""
    return place("product", catalog, product)


def list_sheet(items: Sequence[Mapping[str, Any]], support: str, now: int) -> Sheet:
    """Products whose support stands as it is asked for; "": all."""
    counts = {word: sum(each["support"] == word for each in items) for word in SUPPORT}
    parts = [f"{grouped(many)} {SUPPORT[word].word}" for word, many in counts.items() if many]
    chosen = [("all", LIST, not support)]
    chosen += [(each.word, f"{LIST}?{urlencode({'support': word})}", word == support) for word, each in SUPPORT.items()]
    return Sheet(
        place="Products",
        title=f"{counted(len(items), 'product')}: {joined(parts)}." if items else "No product is like this.",
        detail="Devices whose product has no support get no updates. Findings come 180, 90 and 30 days before.",
        links=tuple(chosen),
        sections=(
            Section(
                title="Products",
                columns=("Product", "Support", "Ends", "Devices", "Maker", "Contact"),
                rows=[_product(each, now) for each in items],
                none="Create one: armillary product create",
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
        place="Traces",
        heading=f"Product {name}",
        title=f"{name} of {catalog}: {counted(devices['count'], 'device')}, {_advisories(open_ones)}, support "
        f"{SUPPORT.get(product['support'], State(UNKNOWN, 'unknown')).word}.",
        detail=sentence(product["intended_use"]),
        crumbs=(("Products", LIST), (name, "")),
        notices=_cut(found["cut"]),
        buttons=downloads(here, has_proof=has_proof),
        facts=(
            ("Support", state(SUPPORT, product["support"])),
            ("Support ends", Cell(at=moment(product["support_ends"], now), text="not declared")),
            ("On the market since", Cell(at=moment(product["placed_on_market"], now), text="not declared")),
            ("Maker", text(product["manufacturer"] or "not declared")),
            ("Contact", text(product["contact"] or "not declared")),
            ("Certificates in force", text(grouped(certificates["in_force"]))),
            ("Next of them to end", Cell(at=moment(certificates["next_end"], now), text="none")),
            ("Trust tiers", text(_counts(devices["tiers"]) or "none")),
            ("Health", text(_counts(devices["health"]) or "none")),
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
        title="Open advisories",
        note=_note(found["advisories"], "the most urgent first"),
        columns=("Advisory", "Exploited", "Severity", "Devices of it"),
        rows=[_advisory(each, now) for each in found["advisories"][:MOST_ROWS]],
        none="None is known; what is not covered is unknown.",
    )
    yield Section(
        title="Releases and images",
        note=_note([*found["releases"], *found["images"]], "that run or are deployed"),
        columns=("Name", "Devices", "Advisories", "As of", "Signed by", "Id"),
        rows=[_artifact(each, catalog, now) for each in [*found["releases"], *found["images"]][:MOST_ROWS]],
        none="Nothing runs, and nothing is deployed.",
    )
    yield Section(
        title="Keys",
        note="that it rests on, from the root's side",
        columns=("Kind", "State", "Of", "Valid until", "Signed", "Serial"),
        rows=[_key(each, now) for each in found["keys"]],
        none="None.",
    )
    yield Section(
        title="Device groups",
        note=_note(found["groups"], ""),
        columns=("Group", "Devices", "Country", "OS feed"),
        rows=[
            (
                text(each["name"], href=_group_href(found["product"], each["name"])),
                number(grouped(each["devices"])),
                text(each["country"] or "not said"),
                text(each["os_feed"]),
            )
            for each in found["groups"][:MOST_ROWS]
        ],
        none="None.",
    )
    yield Section(
        title="Components",
        note=_note(found["components"], "of the bills of materials of these releases and images"),
        columns=("Component", "Version", "Ecosystem", "In"),
        rows=[
            (
                text(each["package"]),
                text(each["version"] or "not said"),
                text(each["ecosystem"] or "none"),
                text(counted(each["count"], "artifact")),
            )
            for each in found["components"][:MOST_ROWS]
        ],
        none="No bill of materials lists one.",
    )


def _advisory(each: Mapping[str, Any], now: int) -> tuple[Cell, ...]:
    since = moment(each["exploited_since"], now)
    return (
        text(each["advisory_id"], href=advisory_place(each["advisory_id"]), reason=each["summary"]),
        Cell(state=State(BAD, "exploited"), reason=f"listed {since.exact[:10]}") if since else text("not listed"),
        text(each["severity"] or "not scored"),
        number(grouped(each["devices"])),
    )


def _artifact(each: Mapping[str, Any], catalog: str, now: int) -> tuple[Cell, ...]:
    is_release, known, signer = each["kind"] == "release", each["id"] and each["name"], each["signer"]
    where = f"/releases/{each['id']}" if is_release else image_place(catalog, each["id"])
    called = each["name"] if is_release else label_of(each)
    return (
        text(called or short_id(each["id"]).short, href=where if known else "", reason=each["kind"]),
        number(grouped(each["devices"])),
        state(ADVISORY_STATES, each["advisory_state"]),
        Cell(at=moment(each["advisories_as_of"], now), text="no feed"),
        text(short_id(signer).short, href=place("key", signer)) if signer else text("not known"),
        Cell(ident=short_id(each["id"])) if each["id"] else text("none here"),
    )


def _key(each: Mapping[str, Any], now: int) -> tuple[Cell, ...]:
    return (
        text(each["kind"]),
        state(_KEYS, each["state"]),
        text(each["subject"]),
        Cell(at=moment(each["not_after"], now)),
        text(_counts(each["signed"]) or "nothing of this page"),
        text(short_id(each["serial"]).short, href=place("key", each["serial"])),
    )


def _product(each: Mapping[str, Any], now: int) -> tuple[Cell, ...]:
    return (
        text(each["name"], href=href(each["catalog"], each["name"]), reason=each["catalog"]),
        state(SUPPORT, each["support"]),
        Cell(at=moment(each["support_ends"], now), text="not declared"),
        number(grouped(each["devices"])),
        text(each["manufacturer"] or "not declared"),
        text(each["contact"] or "not declared"),
    )


def _facts_form(product: Mapping[str, Any], here: str, sent: Mapping[str, str], wrong: Wrong | None) -> Form:
    fields = (
        Field(name="support_ends", label="Support ends", value=time_field(product["support_ends"]), hint=HINT),
        Field(
            name="placed_on_market",
            label="On the market since",
            value=time_field(product["placed_on_market"]),
            hint=HINT,
        ),
        Field(name="manufacturer", label="Maker", value=product["manufacturer"], limits=limits(maxlength=200)),
        Field(
            name="contact",
            label="Contact about security",
            value=product["contact"],
            limits=limits(maxlength=200),
        ),
        Field(
            name="intended_use",
            label="Intended use",
            kind="area",
            value=product["intended_use"],
            limits=limits(maxlength=1000),
        ),
    )
    return Form(
        post=here,
        label="Declare",
        title="What is declared",
        about="dossiers, drafts and alerts rest on it; empty: not declared",
        fields=filled(fields, sent) if sent else fields,
        error=wrong,
        anchor="facts",
    )


def _group_href(product: Mapping[str, Any], group: str) -> str:
    named = (product["catalog"], product["name"], group)
    return "/".join(["/device-groups", *(quote(each, safe="") for each in named)])


def _advisories(many: int) -> str:
    return counted(many, "open advisory", "open advisories") + " in the field"


def _counts(found: Mapping[str, int]) -> str:
    return ", ".join(f"{grouped(many)} {word}" for word, many in sorted(found.items()))


def _note(rows: Sequence[object], says: str) -> str:
    further = len(rows) - MOST_ROWS
    more = f"{grouped(further)} more are in the download" if further > 0 else ""
    return "; ".join(each for each in (says, more) if each)


def _cut(kinds: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return (("attention", f"There are more {joined(list(kinds))} than one answer has."),) if kinds else ()
