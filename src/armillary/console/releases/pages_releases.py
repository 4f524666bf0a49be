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
from armillary.console.frame.states import ATTENTION, BAD, GOOD, UNKNOWN, State
from armillary.console.frame.words import counted, grouped, joined, moment, sentence, short_id, size
from armillary.console.language.say import say, say_count
from armillary.console.releases.pages_bill import bill_cell, bill_state
from armillary.service.verifier.release_drafts import EVALUATION, MAX_OS_ABI, RETAIL
from armillary.wire.image.section import SECURITY_VERSION_LIMIT

LIST: Final = "/releases"
NEW: Final = "/new-release"
# Action -> the button's words, and whether it is the next step of a release's life.
LABELS: Final[Mapping[str, tuple[str, bool]]] = MappingProxyType(
    {
        "sign": (say("Sign"), True),
        "publish": (say("Publish"), True),
        "promote": (say("Promote"), False),
        "revoke": (say("Revoke"), False),
    }
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
    return say("{version} for {chip}", version=release["version"], chip=release["chip"])


def state_of(release: Mapping[str, Any], now: int) -> State:
    """Where a release is in its life; whether a device that boots it is let in is the kind."""
    if release["withdrawn_at"] is not None:
        return State(BAD, say("revoked"))
    if release["published_at"] is None:
        return State(ATTENTION, say("draft") if release["signed_at"] is not None else say("draft, not signed"))
    if release["is_below_floor"]:
        return State(BAD, say("below the security floor"))
    if release["expires_at"] is not None and release["expires_at"] <= now:
        return State(BAD, say("expired"))
    if release["is_passed_over"]:
        return State(UNKNOWN, say("stand-in, given to nobody"))
    standing = {RETAIL: say("in force"), EVALUATION: say("in evaluation")}
    return State(GOOD, standing.get(release["feed"], say("in {feed}", feed=release["feed"])))


def verbs_of(release: Mapping[str, Any], now: int) -> tuple[str, ...]:
    """What can be done with a release, the next step of its life first."""
    if release["withdrawn_at"] is not None:
        return ()
    if release["published_at"] is None:
        return ("sign" if release["signed_at"] is None else "publish", "revoke")
    is_over = release["expires_at"] is not None and release["expires_at"] <= now
    is_last = release["feed"] == RETAIL or is_over or release["is_passed_over"] or release["is_below_floor"]
    return ("revoke",) if is_last else ("promote", "revoke")


def list_sentence(releases: Sequence[Mapping[str, Any]], now: int) -> str:
    """First line: what is in force, and what waits for somebody."""
    if not releases:
        return say("No release yet: without one, no boot can be accounted for.")
    states = [state_of(each, now) for each in releases]
    drafts = sum(each.kind == ATTENTION for each in states)
    good = sum(each.kind == GOOD for each in states)
    said = [say_count(good, "{count} release is in force", "{count} releases are in force", count=grouped(good))]
    if drafts:
        said.append(
            say_count(
                drafts,
                "{count} draft waits to be published",
                "{count} drafts wait to be published",
                count=grouped(drafts),
            )
        )
    return sentence(joined(said))


def list_sheet(found: Mapping[str, Any], feeds: Section, *, chip: str, may_make: bool, now: int) -> Sheet:
    """The list, of one chip or of all; ``feeds`` is the section of OS feeds."""
    releases = [each for each in found["items"] if chip in ("", each["chip"])]
    chips = sorted({each["chip"] for each in found["items"]})
    field = Field(
        name="chip", label=say("Chip"), kind="select", value=chip, choices=choices(chips, none=say("All chips"))
    )
    rows = [
        (
            text(each["version"], href=place(each["release_id"])),
            text(each["chip"]),
            Cell(state=state_of(each, now), reason=each["withdrawn_reason"] or ""),
            text(each["feed"]),
            bill_cell(each["bill"], found["bill_policy"]),
            number(len(each["components"])),
            Cell(at=moment(each["published_at"], now), text=say("never")),
        )
        for each in releases
    ]
    return Sheet(
        place=say("Releases"),
        title=list_sentence(found["items"], now),
        detail=say("What a device measures at boot is compared with these; groups get the newest of their feed."),
        buttons=(Button(label=say("New draft"), href=NEW, primary=True),) if may_make else (),
        search=Form(post=LIST, label=say("Show"), fields=(field,)) if len(chips) > 1 else None,
        sections=(
            Section(
                title=say("Releases"),
                note=say("newest first"),
                columns=(
                    say("Version"),
                    say("Chip"),
                    say("State"),
                    say("Feed"),
                    say("Bill of materials"),
                    say("Components"),
                    say("Published"),
                ),
                rows=rows,
                none=say("None is for this chip."),
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
    roll_out = Button(label=say("New roll-out"), href=rollout_place(release["release_id"]), primary=True)
    state = state_of(release, now)
    downloads: tuple[Button, ...] = ()
    if release["bill"] is not None:
        downloads = (Button(label=say("Download the bill"), href=place(release["release_id"], "bill.json")),)
    return Sheet(
        place=say("Releases"),
        heading=say("Release {release}", release=called(release)),
        title=_sentence(release, state),
        detail=_detail(release, state),
        crumbs=((say("Releases"), LIST), (called(release), "")),
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
        title=say("{action} {release}?", action=LABELS[verb][0], release=called(release)),
        touches=touching(*says),
        label=LABELS[verb][0],
        danger=verb == "revoke",
        reason=verb == "revoke",
        word=verb if touched > WIDE_DEVICES or verb == "revoke" else "",
        wide=say("This cannot be undone, and touches {devices}.", devices=counted(touched, "device")),
        post=f"{here}/{verb}",
        back=here,
    )


# How many devices an action touches, and what it touches, does, leaves alone, and how it is undone.
Consequences = tuple[int, tuple[str, str, str, str]]


def _signing(release: Mapping[str, Any]) -> Consequences:
    return 0, (
        say(
            "The draft {release}: {components}.",
            release=called(release),
            components=counted(len(release["components"]), "component"),
        ),
        say("Signs each with this service's OS signing key."),
        say("Devices: a signed draft is still offered to nobody."),
        say("Not needed: a draft may stay one."),
    )


def _publishing(release: Mapping[str, Any]) -> Consequences:
    reach = release["reach"]
    groups = counted(reach["groups"], "device group")
    touches = say(
        "{devices} in {groups} with the feed {feed}.",
        devices=counted(reach["devices"], "device"),
        groups=groups,
        feed=release["feed"],
    )
    nobody = say(
        "No device: no group with the feed {feed} has one of {chip}.", feed=release["feed"], chip=release["chip"]
    )
    offers = say(
        "Offers them {release} at their next check-in. From now on a device that boots it is trusted.",
        release=called(release),
    )
    ends = say(
        "The stand-ins of {chip} are given to nobody from then on: groups of feeds that do not get this release are "
        "given nothing.",
        chip=release["chip"],
    )
    return reach["devices"], (
        touches if reach["devices"] else nobody,
        say("{offers} {ends}", offers=offers, ends=ends) if reach["ends_stand_ins"] else offers,
        say("Devices that do not update their operating system by themselves.")
        if reach["ends_stand_ins"]
        else say("Groups of other feeds, and devices that do not update their operating system by themselves."),
        say("What was published never changes. Revoke it, and devices are offered their feed's newest."),
    )


def _promoting(release: Mapping[str, Any]) -> Consequences:
    everybody = release["reach"]["everybody"]
    in_cohorts = f"armillary rollout create-os --release {release['release_id']}"
    moves = say(
        "Moves {release} from {feed} to {retail}.", release=called(release), feed=release["feed"], retail=RETAIL
    )
    return everybody, (
        say("{devices} of {chip}: everybody, at once.", devices=counted(everybody, "device"), chip=release["chip"]),
        say("{moves} A roll-out brings it to them in cohorts instead: {command}", moves=moves, command=in_cohorts),
        say("Devices that run it already."),
        say("There is no way back to the other feed. Revoke it, and devices are offered the one before."),
    )


def _revoking(release: Mapping[str, Any]) -> Consequences:
    running = release["reach"]["running"]
    return running, (
        say_count(running, "{count} device that runs it.", "{count} devices that run it.", count=grouped(running)),
        say(
            "A device that boots it gets a certificate for updates only from its next check-in on, and is offered "
            "its feed's newest."
        ),
        say("Devices that run other releases."),
        say("This cannot be undone: publish another release."),
    )


_CONSEQUENCES: Final[Mapping[str, Callable[[Mapping[str, Any]], Consequences]]] = MappingProxyType(
    {"sign": _signing, "publish": _publishing, "promote": _promoting, "revoke": _revoking}
)


def draft_sheet(offered: Mapping[str, Any], chip: str, sent: Mapping[str, str], wrong: Wrong | None) -> Sheet:
    """The form of a draft: the chip is chosen first, as it says which components there are."""
    field = Field(
        name="chip", label=say("Chip"), kind="select", value=chip, choices=choices(offered["chips"], none=say("Choose"))
    )
    return Sheet(
        place=say("Releases"),
        heading=say("New draft"),
        title=say("A new release for {chip}", chip=chip) if chip else say("A new release: for which chip?"),
        detail=say("A draft is offered to nobody, and no device that boots it is trusted before it is published."),
        crumbs=((say("Releases"), LIST), (say("New draft"), "")),
        search=Form(post=NEW, label=say("Choose"), fields=(field,)),
        forms=(_draft_form(offered, chip, sent, wrong),) if chip else (),
        within="updates",
    )


def _draft_form(offered: Mapping[str, Any], chip: str, sent: Mapping[str, str], wrong: Wrong | None) -> Form:
    fields = (
        Field(
            name="version", label=say("Version"), required=True, limits=limits(maxlength=32), hint=say("such as 26.12")
        ),
        Field(
            name="feed",
            label=say("OS feed"),
            kind="select",
            value=EVALUATION,
            choices=choices(offered["feeds"]),
            hint=say("whose groups are offered it once it is published"),
        ),
        Field(
            name="os_abi",
            label=say("ABI for applications"),
            kind="number",
            value="0",
            limits=limits(min=0, max=MAX_OS_ABI, step=1),
            hint=say("0: not said"),
        ),
        *(
            Field(
                name=PACKAGE + each["name"],
                label=say("Package of {name}", name=each["name"]),
                kind="file",
                hint=say(
                    "image type {image_type}, at most {size_limit_bytes}: {about}",
                    image_type=each["image_type"],
                    size_limit_bytes=size(each["size_limit_bytes"]),
                    about=each["about"],
                ),
            )
            for each in offered["components"]
        ),
        Field(name="built", label=say("Build stand-ins here instead: for virtual chips only"), kind="check"),
        Field(
            name="security_version",
            label=say("Their security version"),
            kind="number",
            value=str(offered["security_version"]),
            limits=limits(min=0, max=SECURITY_VERSION_LIMIT, step=1),
            hint=say("only for stand-ins; uploaded packages bear their own"),
        ),
    )
    return Form(
        post=f"{NEW}?{urlencode({'chip': chip})}",
        label=say("Create the draft"),
        title=say("The draft"),
        about=say("every component of the chip, or none"),
        fields=filled(fields, sent) if sent else fields,
        error=wrong,
        primary=True,
    )


def _sentence(release: Mapping[str, Any], state: State) -> str:
    name, reach = called(release), release["reach"]
    running = say_count(
        reach["running"], "{count} device runs it", "{count} devices run it", count=grouped(reach["running"])
    )
    if release["withdrawn_at"] is not None:
        return say("Release {name} was revoked; {running}.", name=name, running=running)
    if release["published_at"] is None:
        is_signed = release["signed_at"] is not None
        return (
            say("Draft {name} waits to be published.", name=name)
            if is_signed
            else say("Draft {name} waits to be signed.", name=name)
        )
    if state.kind == BAD:
        return (
            say("Release {name} is below the security floor; {running}.", name=name, running=running)
            if release["is_below_floor"]
            else say("Release {name} is past its end; {running}.", name=name, running=running)
        )
    if release["is_passed_over"]:
        return say("Release {name} is a stand-in, given to nobody; {running}.", name=name, running=running)
    if release["feed"] == RETAIL:
        return say("Release {name} is for everybody; {running}.", name=name, running=running)
    feeds = say("{feed}, and of {others}", feed=release["feed"], others=", ".join(reach["alone"]))
    return say(
        "Release {name} is for groups of {feeds}; {running}.",
        name=name,
        feeds=feeds if reach["alone"] else release["feed"],
        running=running,
    )


def _detail(release: Mapping[str, Any], state: State) -> str:
    if release["withdrawn_at"] is not None:
        return sentence(release["withdrawn_reason"] or "")
    if state.kind == GOOD and release["feed"] != RETAIL:
        return say(
            "Promote gives it to everybody at once. In cohorts: armillary rollout create-os --release {release_id}",
            release_id=release["release_id"],
        )
    return ""


def _facts(release: Mapping[str, Any], state: State, now: int) -> tuple[tuple[str, Cell], ...]:
    reach = release["reach"]
    ends = moment(release["expires_at"], now)
    return (
        (say("State"), Cell(state=state)),
        (say("Feed"), text(release["feed"], reason=say("{devices} devices get it", devices=grouped(reach["devices"])))),
        (say("Bill of materials"), Cell(state=bill_state(release["bill"], release["bill_policy"]))),
        (say("ABI for applications"), text(release["os_abi"] or say("not said"))),
        (say("Created"), Cell(at=moment(release["created_at"], now))),
        (say("Signed"), Cell(at=moment(release["signed_at"], now), text=say("not yet"))),
        (say("Published"), Cell(at=moment(release["published_at"], now), text=say("not yet"))),
        (say("Ends"), Cell(at=ends, text=say("no end"))),
        (say("Imported from"), text(release["imported_from"] or say("made here"))),
        (say("Release id"), Cell(ident=short_id(release["release_id"]))),
    )


def _components(release: Mapping[str, Any]) -> Section:
    return Section(
        title=say("Components"),
        note=say("in boot order; their digests are the verifier's reference values"),
        columns=(
            say("Component"),
            say("Image type"),
            say("Security version"),
            say("Size"),
            say("Image id"),
            say("SHA-256"),
        ),
        rows=[
            (
                text(each["name"]),
                number(each["image_type"]),
                number(each["security_version"]),
                number(size(each["size"]) if each["size"] else say("not known")),
                Cell(ident=short_id(each["image_id"])),
                Cell(ident=short_id(each["digest"])),
            )
            for each in release["components"]
        ],
        none=say("It names none."),
    )
