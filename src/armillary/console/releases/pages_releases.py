# SPDX-License-Identifier: Apache-2.0
"""OS releases and drafts: the list, one release, the form of a draft, what each action does. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import quote, urlencode

from armillary.console.frame.confirmation import WIDE_DEVICES, Confirmation, touching
from armillary.console.frame.form import Field, Form, Wrong, choices, filled, limits
from armillary.console.frame.sheet import Button, Cell, Section, Sheet, number, text
from armillary.console.frame.states import ATTENTION, BAD, GOOD, State
from armillary.console.frame.words import counted, grouped, joined, moment, sentence, short_id, size
from armillary.console.releases.pages_bill import bill_cell, bill_state
from armillary.service.verifier.release_drafts import EVALUATION, MAX_OS_ABI, RETAIL
from armillary.wire.image.section import SECURITY_VERSION_LIMIT

LIST: Final = "/releases"
NEW: Final = "/new-release"
# Action -> the button's words, and whether it is the next step of a release's life.
LABELS: Final[Mapping[str, tuple[str, bool]]] = MappingProxyType(
    {"sign": ("Sign", True), "publish": ("Publish", True), "promote": ("Promote", False), "revoke": ("Revoke", False)}
)
# Fields of the form of a draft that are no component.
PACKAGE: Final = "package."


def place(release_id: str, *more: str) -> str:
    """The address of a release, or of something below it."""
    return "/".join([LIST, quote(release_id, safe=""), *more])


def rollout_place(release_id: str) -> str:
    """Where a roll-out of a release is prepared (``console/new_rollout``)."""
    return place(release_id, "rollout")


def called(release: Mapping[str, Any]) -> str:
    """``26.12 for mt3620``."""
    return f"{release['version']} for {release['chip']}"


def state_of(release: Mapping[str, Any], now: int) -> State:
    """Where a release is in its life; whether a device that boots it is let in is the kind."""
    if release["withdrawn_at"] is not None:
        return State(BAD, "revoked")
    if release["published_at"] is None:
        return State(ATTENTION, "draft" if release["signed_at"] is not None else "draft, not signed")
    if release["expires_at"] is not None and release["expires_at"] <= now:
        return State(BAD, "expired")
    return State(GOOD, {RETAIL: "in force", EVALUATION: "in evaluation"}.get(release["feed"], f"in {release['feed']}"))


def verbs_of(release: Mapping[str, Any], now: int) -> tuple[str, ...]:
    """What can be done with a release, the next step of its life first."""
    if release["withdrawn_at"] is not None:
        return ()
    if release["published_at"] is None:
        return ("sign" if release["signed_at"] is None else "publish", "revoke")
    is_over = release["expires_at"] is not None and release["expires_at"] <= now
    return ("revoke",) if release["feed"] == RETAIL or is_over else ("promote", "revoke")


def list_sentence(releases: Sequence[Mapping[str, Any]], now: int) -> str:
    """First line: what is in force, and what waits for somebody."""
    if not releases:
        return "No release yet: without one, no boot can be accounted for."
    states = [state_of(each, now) for each in releases]
    drafts = sum(each.kind == ATTENTION for each in states)
    good = sum(each.kind == GOOD for each in states)
    said = [f"{counted(good, 'release is', 'releases are')} in force"]
    if drafts:
        said.append(f"{counted(drafts, 'draft waits', 'drafts wait')} to be published")
    return sentence(joined(said))


def list_sheet(found: Mapping[str, Any], feeds: Section, *, chip: str, may_make: bool, now: int) -> Sheet:
    """The list, of one chip or of all; ``feeds`` is the section of OS feeds."""
    releases = [each for each in found["items"] if chip in ("", each["chip"])]
    chips = sorted({each["chip"] for each in found["items"]})
    field = Field(name="chip", label="Chip", kind="select", value=chip, choices=choices(chips, none="All chips"))
    rows = [
        (
            text(each["version"], href=place(each["release_id"])),
            text(each["chip"]),
            Cell(state=state_of(each, now), reason=each["withdrawn_reason"] or ""),
            text(each["feed"]),
            bill_cell(each["bill"], found["bill_policy"]),
            number(len(each["components"])),
            Cell(at=moment(each["published_at"], now), text="never"),
        )
        for each in releases
    ]
    return Sheet(
        place="Releases",
        title=list_sentence(found["items"], now),
        detail="What a device measures at boot is compared with these; groups get the newest of their feed.",
        buttons=(Button(label="New draft", href=NEW, primary=True),) if may_make else (),
        search=Form(post=LIST, label="Show", fields=(field,)) if len(chips) > 1 else None,
        sections=(
            Section(
                title="Releases",
                note="newest first",
                columns=("Version", "Chip", "State", "Feed", "Bill of materials", "Components", "Published"),
                rows=rows,
                none="None is for this chip.",
                sorts=True,
            ),
            feeds,
        ),
        within="updates",
    )


def release_sheet(
    release: Mapping[str, Any],
    *,
    verbs: Sequence[str],
    bill: Section,
    search: Form | None,
    may_roll_out: bool = False,
    now: int,
) -> Sheet:
    """One release; ``verbs`` are the actions that the operator may do now, ``bill`` is its bill's section."""
    is_next = may_roll_out and state_of(release, now).kind == GOOD and release["feed"] != RETAIL
    roll_out = Button(label="New roll-out", href=rollout_place(release["release_id"]), primary=True)
    state = state_of(release, now)
    downloads: tuple[Button, ...] = ()
    if release["bill"] is not None:
        downloads = (Button(label="Download the bill", href=place(release["release_id"], "bill.json")),)
    return Sheet(
        place="Releases",
        heading=f"Release {called(release)}",
        title=_sentence(release, state),
        detail=_detail(release, state),
        crumbs=(("Releases", LIST), (called(release), "")),
        buttons=(
            *((roll_out,) if is_next else ()),
            *(
                Button(
                    label=LABELS[verb][0],
                    href=place(release["release_id"], verb),
                    primary=LABELS[verb][1],
                    danger=verb == "revoke",
                )
                for verb in verbs
            ),
            *downloads,
        ),
        facts=_facts(release, state, now),
        search=search,
        sections=(_components(release), bill),
        within="updates",
    )


def confirmation(release: Mapping[str, Any], verb: str) -> Confirmation:
    """What an action does; asks for the word where it reaches many devices."""
    here = place(release["release_id"])
    touched, says = _CONSEQUENCES[verb](release)
    return Confirmation(
        title=f"{LABELS[verb][0]} {called(release)}?",
        touches=touching(*says),
        label=LABELS[verb][0],
        danger=verb == "revoke",
        reason=verb == "revoke",
        word=verb if touched > WIDE_DEVICES or verb == "revoke" else "",
        wide=f"This cannot be undone, and touches {counted(touched, 'device')}.",
        post=f"{here}/{verb}",
        back=here,
    )


# How many devices an action touches, and what it touches, does, leaves alone, and how it is undone.
Consequences = tuple[int, tuple[str, str, str, str]]


def _signing(release: Mapping[str, Any]) -> Consequences:
    return 0, (
        f"The draft {called(release)}: {counted(len(release['components']), 'component')}.",
        "Signs each with this service's OS signing key.",
        "Devices: a signed draft is still offered to nobody.",
        "Not needed: a draft may stay one.",
    )


def _publishing(release: Mapping[str, Any]) -> Consequences:
    reach = release["reach"]
    groups = counted(reach["groups"], "device group")
    touches = f"{counted(reach['devices'], 'device')} in {groups} with the feed {release['feed']}."
    nobody = f"No device: no group with the feed {release['feed']} has one of {release['chip']}."
    return reach["devices"], (
        touches if reach["devices"] else nobody,
        f"Offers them {called(release)} at their next check-in. From now on a device that boots it is trusted.",
        "Groups of other feeds, and devices that do not update their operating system by themselves.",
        "What was published never changes. Revoke it, and devices are offered their feed's newest.",
    )


def _promoting(release: Mapping[str, Any]) -> Consequences:
    everybody = release["reach"]["everybody"]
    in_cohorts = f"armillary rollout create-os --release {release['release_id']}"
    moves = f"Moves {called(release)} from {release['feed']} to {RETAIL}."
    return everybody, (
        f"{counted(everybody, 'device')} of {release['chip']}: everybody, at once.",
        f"{moves} A roll-out brings it to them in cohorts instead: {in_cohorts}",
        "Devices that run it already.",
        "There is no way back to the other feed. Revoke it, and devices are offered the one before.",
    )


def _revoking(release: Mapping[str, Any]) -> Consequences:
    running, only = release["reach"]["running"], "gets a certificate for updates only"
    return running, (
        f"{counted(running, 'device')} that {'runs' if running == 1 else 'run'} it.",
        f"A device that boots it {only} from its next check-in on, and is offered its feed's newest.",
        "Devices that run other releases.",
        "This cannot be undone: publish another release.",
    )


_CONSEQUENCES: Final[Mapping[str, Callable[[Mapping[str, Any]], Consequences]]] = MappingProxyType(
    {"sign": _signing, "publish": _publishing, "promote": _promoting, "revoke": _revoking}
)


def draft_sheet(offered: Mapping[str, Any], chip: str, sent: Mapping[str, str], wrong: Wrong | None) -> Sheet:
    """The form of a draft: the chip is chosen first, as it says which components there are."""
    field = Field(
        name="chip", label="Chip", kind="select", value=chip, choices=choices(offered["chips"], none="Choose")
    )
    return Sheet(
        place="Releases",
        heading="New draft",
        title=f"A new release for {chip}" if chip else "A new release: for which chip?",
        detail="A draft is offered to nobody, and no device that boots it is trusted before it is published.",
        crumbs=(("Releases", LIST), ("New draft", "")),
        search=Form(post=NEW, label="Choose", fields=(field,)),
        forms=(_draft_form(offered, chip, sent, wrong),) if chip else (),
        within="updates",
    )


def _draft_form(offered: Mapping[str, Any], chip: str, sent: Mapping[str, str], wrong: Wrong | None) -> Form:
    fields = (
        Field(name="version", label="Version", required=True, limits=limits(maxlength=32), hint="such as 26.12"),
        Field(
            name="feed",
            label="OS feed",
            kind="select",
            value=EVALUATION,
            choices=choices(offered["feeds"]),
            hint="whose groups are offered it once it is published",
        ),
        Field(
            name="os_abi",
            label="ABI for applications",
            kind="number",
            value="0",
            limits=limits(min=0, max=MAX_OS_ABI, step=1),
            hint="0: not said",
        ),
        *(
            Field(
                name=PACKAGE + each["name"],
                label=f"Package of {each['name']}",
                kind="file",
                hint=f"image type {each['image_type']}, at most {size(each['size_limit_bytes'])}: {each['about']}",
            )
            for each in offered["components"]
        ),
        Field(name="built", label="Build stand-ins here instead: for virtual chips only", kind="check"),
        Field(
            name="security_version",
            label="Their security version",
            kind="number",
            value=str(offered["security_version"]),
            limits=limits(min=0, max=SECURITY_VERSION_LIMIT, step=1),
            hint="only for stand-ins; uploaded packages bear their own",
        ),
    )
    return Form(
        post=f"{NEW}?{urlencode({'chip': chip})}",
        label="Create the draft",
        title="The draft",
        about="every component of the chip, or none",
        fields=filled(fields, sent) if sent else fields,
        error=wrong,
        primary=True,
    )


def _sentence(release: Mapping[str, Any], state: State) -> str:
    name, reach = called(release), release["reach"]
    running = counted(reach["running"], "device runs", "devices run")
    if release["withdrawn_at"] is not None:
        return f"Release {name} was revoked; {running} it."
    if release["published_at"] is None:
        waits = "signed" if release["signed_at"] is None else "published"
        return f"Draft {name} waits to be {waits}."
    if state.kind == BAD:
        return f"Release {name} is past its end; {running} it."
    for_whom = "everybody" if release["feed"] == RETAIL else f"groups of {release['feed']}"
    if reach["alone"] and release["feed"] != RETAIL:
        for_whom += f", and of {', '.join(reach['alone'])}"
    return f"Release {name} is for {for_whom}; {running} it."


def _detail(release: Mapping[str, Any], state: State) -> str:
    if release["withdrawn_at"] is not None:
        return sentence(release["withdrawn_reason"] or "")
    if state.kind == GOOD and release["feed"] != RETAIL:
        return (
            "Promote gives it to everybody at once. In cohorts: "
            f"armillary rollout create-os --release {release['release_id']}"
        )
    return ""


def _facts(release: Mapping[str, Any], state: State, now: int) -> tuple[tuple[str, Cell], ...]:
    reach = release["reach"]
    ends = moment(release["expires_at"], now)
    return (
        ("State", Cell(state=state)),
        ("Feed", text(release["feed"], reason=f"{grouped(reach['devices'])} devices get it")),
        ("Bill of materials", Cell(state=bill_state(release["bill"], release["bill_policy"]))),
        ("ABI for applications", text(release["os_abi"] or "not said")),
        ("Created", Cell(at=moment(release["created_at"], now))),
        ("Signed", Cell(at=moment(release["signed_at"], now), text="not yet")),
        ("Published", Cell(at=moment(release["published_at"], now), text="not yet")),
        ("Ends", Cell(at=ends, text="no end")),
        ("Imported from", text(release["imported_from"] or "made here")),
        ("Release id", Cell(ident=short_id(release["release_id"]))),
    )


def _components(release: Mapping[str, Any]) -> Section:
    return Section(
        title="Components",
        note="in boot order; their digests are the verifier's reference values",
        columns=("Component", "Image type", "Security version", "Size", "Image id", "SHA-256"),
        rows=[
            (
                text(each["name"]),
                number(each["image_type"]),
                number(each["security_version"]),
                number(size(each["size"]) if each["size"] else "not known"),
                Cell(ident=short_id(each["image_id"])),
                Cell(ident=short_id(each["digest"])),
            )
            for each in release["components"]
        ],
        none="It names none.",
    )
