# SPDX-License-Identifier: Apache-2.0
"""People: who may sign in, what each is granted, what changes. Pure: API answers in, view models out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from armillary.console.frame.confirmation import Confirmation, touching
from armillary.console.frame.form import Field, Form, Wrong, choices, filled, limits
from armillary.console.frame.sheet import Button, Cell, Section, Sheet, text
from armillary.console.frame.states import ATTENTION, BAD, GOOD, State
from armillary.console.frame.words import counted, joined, moment, short_id
from armillary.console.language.say import say

LIST: Final = "/people"
SESSIONS: Final = "/sessions"
ROLES: Final = ("Reader", "Contributor", "Administrator")
# Where a grant is for all catalogs.
EVERYWHERE: Final = say("all catalogs")
# What is done with a person on the page that asks -> the change that one has to be allowed.
CHANGES: Final[Mapping[str, str]] = {
    "disable": "set_person_state",
    "enable": "set_person_state",
    "remove": "remove_person",
}
_VERBS: Final[Mapping[str, str]] = {"disable": say("Disable"), "enable": say("Enable"), "remove": say("Remove")}
SETTINGS_CRUMB: Final = (say("Settings"), "/settings")
# How somebody signed in, where the word itself does not say it.
_METHODS: Final[Mapping[str, str]] = {
    "passkey": say("token and passkey"),
    "recovery-code": say("token and recovery code"),
}
_WITHOUT: Final = say(
    "No sign-in provider is set, so people sign in with operator tokens alone. Set oidc_issuer and "
    "oidc_client_id and start the service again: docs/guides/people.md says how."
)
_NOBODY: Final = say("Nobody yet: invite somebody below, or let groups of the provider grant roles (oidc_grants).")
_NOBODY_YET: Final = say("Nobody yet: people can be invited as soon as a sign-in provider is set.")
_NOBODY_THERE: Final = say("Nobody yet: invite somebody below.")
_NAME: Final = Field(
    name="name", label=say("Name"), hint=say("Empty: as the provider says"), limits=limits(maxlength=128)
)


def place(person_id: str, *more: str) -> str:
    """The address of a person, or of something done with one."""
    return "/".join([LIST, quote(person_id, safe=""), *more])


def list_sheet(
    items: Sequence[Mapping[str, Any]],
    provider: Mapping[str, str],
    places: Mapping[str, Any],
    *,
    sent: Mapping[str, str],
    wrong: Wrong | None,
    now: int,
) -> Sheet:
    """Everybody whom the operator may see, and the form that invites."""
    in_one = "" if places["all"] else places["catalogs"][0]
    form = Form(
        post=LIST,
        label=say("Invite"),
        title=say("Invite somebody"),
        about=say("the address or the subject that the provider knows; nothing is sent to them"),
        fields=filled(_invite_fields(places), sent) if sent else _invite_fields(places),
        error=wrong,
        anchor="invite",
    )
    return Sheet(
        place=say("People"),
        title=_list_sentence(items, in_one),
        detail=say("They sign in at {issuer}.", issuer=provider["issuer"]) if provider["issuer"] else "",
        crumbs=(SETTINGS_CRUMB, (say("People"), "")),
        notices=() if provider["issuer"] else (("attention", _WITHOUT),),
        buttons=(Button(label=say("Who is signed in"), href=SESSIONS),),
        sections=(
            Section(
                title=say("People"),
                columns=(say("Person"), say("State"), say("May"), say("Last signed in"), say("Invited")),
                rows=[_row(each, now) for each in items],
                none=_nobody(provider, in_one),
            ),
        ),
        forms=(form,) if provider["issuer"] else (),
        within="",
    )


def _nobody(provider: Mapping[str, str], in_one: str) -> str:
    """What stands where the table has no row; the form that invites is there with a provider alone."""
    if not provider["issuer"]:
        return _NOBODY_YET
    return _NOBODY_THERE if in_one else _NOBODY


def person_sheet(
    found: Mapping[str, Any],
    sessions: Sequence[Mapping[str, Any]],
    places: Mapping[str, Any],
    *,
    wrong: Wrong | None = None,
    now: int,
) -> Sheet:
    """One person, of one catalog where the operator is for one."""
    here, state, is_whole = place(found["person_id"]), _state(found), places["all"]
    verb = "enable" if found["state"] == "disabled" else "disable"
    return Sheet(
        place=say("People"),
        heading=called(found),
        title=_person_sentence(found, state),
        detail="" if found["name"] in ("", found["login"]) else found["login"],
        crumbs=(SETTINGS_CRUMB, (say("People"), LIST), (called(found), "")),
        buttons=(
            *((Button(label=_VERBS[verb], href=f"{here}/{verb}", danger=verb == "disable"),) if is_whole else ()),
            Button(label=say("Remove"), href=f"{here}/remove", danger=True),
        ),
        facts=(
            (say("In the audit log") if is_whole else say("Known as"), text(found["login"])),
            *(_provider_facts(found) if is_whole else ()),
            (say("Last signed in"), Cell(at=moment(found["signed_in_at"], now), text=say("never"))),
            (say("Invited"), Cell(at=moment(found["created_at"], now))),
            (say("By"), text(found["created_by"])),
            (say("Id"), Cell(ident=short_id(found["person_id"]))),
        ),
        sections=(
            Section(
                title=say("May"),
                note=say("by one of these at a time; the person chooses on the account page"),
                columns=(say("Role"), say("Of"), say("Granted"), say("By"), ""),
                rows=[_grant_row(each, here, now) for each in found["grants"]],
                none=say("Nothing: this person cannot sign in before a role is granted."),
                form=Form(post=f"{here}/grants", label=say("Grant"), fields=_grant_fields(places), error=wrong),
            ),
            sessions_section(sessions, now=now),
        ),
        within="",
    )


def sessions_sheet(items: Sequence[Mapping[str, Any]], own: str, now: int) -> Sheet:
    """Everybody's sessions; ``own`` is the id of the session that looks."""
    people = len({each["person_id"] or each["token_id"] for each in items})
    return Sheet(
        place=say("Sessions"),
        title=say(
            "{sessions} of {people_and_tokens}.",
            sessions=counted(len(items), "session"),
            people_and_tokens=counted(people, "person or token", "people and tokens"),
        ),
        detail=say("A session ends after 8 hours without use, after 24 hours, and when the service starts again."),
        crumbs=(SETTINGS_CRUMB, (say("People"), LIST), (say("Sessions"), "")),
        sections=(sessions_section(items, own=own, now=now, names=True),),
        within="",
    )


def sessions_section(
    items: Sequence[Mapping[str, Any]],
    *,
    own: str = "",
    now: int,
    names: bool = False,
    ends: str = SESSIONS,
    asks: bool = True,
) -> Section:
    """Sessions as a table; ``ends`` is where one is ended, ``asks`` whether a page asks first."""
    who = (say("Who"),) if names else ()
    return Section(
        title=say("Signed in now"),
        columns=(
            *who,
            say("Browser"),
            say("Address"),
            say("Acts as"),
            say("Signed in by"),
            say("Since"),
            say("Last seen"),
            "",
        ),
        rows=[_session_row(each, own, now, names=names, ends=ends, asks=asks) for each in items],
        none=say("No session is open."),
    )


def invited(form: Mapping[str, str]) -> dict[str, Any]:
    """What the form that invites says."""
    who = form.get("who", "").strip()
    return {
        "email": who if "@" in who and form.get("by") != "subject" else None,
        "subject": who if "@" not in who or form.get("by") == "subject" else None,
        "name": form.get("name", "").strip(),
        "granted": granted(form) if form.get("role") else None,
    }


def granted(form: Mapping[str, str]) -> tuple[str, str | None, str | None]:
    """Role, catalog and organisation that a form grants."""
    catalog, _, organisation = form.get("of", "").partition("/")
    return form.get("role", ""), catalog or None, organisation or None


def confirmation(found: Mapping[str, Any], verb: str, sessions: int, catalog: str | None) -> Confirmation:
    """What disabling, enabling or removing a person does; with ``catalog`` it is about that catalog alone."""
    who, here = called(found), place(found["person_id"])
    open_now = say("{sessions} of {who}.", sessions=counted(sessions, "session"), who=who)
    if verb == "enable":
        return Confirmation(
            title=say("Enable {who}?", who=who),
            touches=touching(
                say("{who}, with {grants}.", who=who, grants=counted(len(found["grants"]), "grant")),
                say("The person can sign in again, with what was granted before."),
                say("Other people, tokens and devices."),
                say("Disable the person again."),
            ),
            label=say("Enable"),
            post=f"{here}/enable",
            back=here,
        )
    does = {
        "disable": (
            say("They end now, and the person cannot sign in."),
            say("Grants, what the person did, and tokens that the person made: revoke those under Settings."),
            say("Enable the person again."),
        ),
        "remove": (
            say("They end now, and what was granted in {catalog} is revoked.", catalog=catalog),
            say("The audit log, tokens that the person made, and what the person may do elsewhere."),
            say("This cannot be undone; invite the person again."),
        )
        if catalog
        else (
            say("They end now; the person and all grants are deleted."),
            say("The audit log and tokens that the person made: revoke those under Settings."),
            say("This cannot be undone; invite the person again."),
        ),
    }[verb]
    return Confirmation(
        title=say("Disable {who}?", who=who) if verb == "disable" else say("Remove {who}?", who=who),
        touches=touching(open_now, *does),
        label=_VERBS[verb],
        danger=True,
        post=f"{here}/{verb}",
        back=here,
    )


def revoke_confirmation(found: Mapping[str, Any], grant: Mapping[str, Any]) -> Confirmation:
    """What taking a grant back does."""
    here = place(found["person_id"])
    return Confirmation(
        title=say(
            "Revoke {role} of {where} from {person}?", role=grant["role"], where=_of(grant), person=called(found)
        ),
        touches=touching(
            say("Sessions of {person} that act by it.", person=called(found)),
            say("They end now, and the person cannot act by it again."),
            say("The person's other grants, and what was done by this one."),
            say("Grant it again."),
        ),
        label=say("Revoke"),
        danger=True,
        post=f"{here}/grants/{grant['grant_id']}/revoke",
        back=here,
    )


def end_confirmation(session: Mapping[str, Any], *, own: bool) -> Confirmation:
    """What ending a session does."""
    browser, address = browser_of(session["browser"]), session["address"] or say("an unknown address")
    return Confirmation(
        title=say("End the session of {name}?", name=session["name"]),
        touches=touching(
            say("{browser} at {address}, the one you are using.", browser=browser, address=address)
            if own
            else say("{browser} at {address}.", browser=browser, address=address),
            say("It is signed out at once."),
            say("Other sessions; whoever it was can sign in again."),
            say("Sign in again."),
        ),
        label=say("End"),
        danger=True,
        post=f"{SESSIONS}/{session['session_id']}/end",
        back=SESSIONS,
    )


def called(found: Mapping[str, Any]) -> str:
    """What a person is called."""
    return str(found["name"] or found["login"])


def browser_of(named: str) -> str:
    """A browser and its system, of how it names itself; "" names nothing."""
    systems = ("iPhone", "iPad", "Android", "Windows", "Mac OS X", "Linux")
    browsers = (
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    )
    browser = next((word for mark, word in browsers if mark in named), "")
    system = next((each for each in systems if each in named), "")
    if browser and system:
        return say("{browser} on {system}", browser=browser, system=system.replace("Mac OS X", "macOS"))
    return browser or named[:40] or say("A browser that does not say what it is")


def _invite_fields(places: Mapping[str, Any]) -> tuple[Field, ...]:
    return (
        Field(
            name="who",
            label=say("Address or subject"),
            required=True,
            hint=say("An address counts where the provider has verified it; else use the subject"),
            limits=limits(maxlength=255),
        ),
        Field(
            name="by",
            label=say("It is"),
            kind="select",
            choices=(("", say("an address, where it has an @")), ("subject", say("a subject in any case"))),
        ),
        *((_NAME,) if places["all"] else ()),
        *_grant_fields(places),
    )


def _grant_fields(places: Mapping[str, Any]) -> tuple[Field, ...]:
    return (
        Field(
            name="role",
            label=say("Role"),
            kind="select",
            choices=choices(ROLES),
            hint=say("Reader sees, Contributor changes, Administrator decides who and what is trusted"),
        ),
        Field(name="of", label=say("Of"), kind="select", choices=_places(places)),
    )


def _places(places: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Catalogs, each with its organisations; all of them, where one may, is the last: nobody chooses it by a slip."""
    found = []
    for name in places["catalogs"]:
        found.append((name, name))
        inner = [each for each in places["organisations"] if each["catalog"].lower() == name.lower()]
        found += [
            (f"{name}/{each['id']}", say("{organisation} of {catalog}", organisation=each["name"], catalog=name))
            for each in inner
        ]
    return (*found, ("", EVERYWHERE)) if places["all"] else tuple(found)


def _of(grant: Mapping[str, Any]) -> str:
    if grant["catalog_id"] is None:
        return EVERYWHERE
    catalog = grant["catalog"] or say("a catalog that was deleted")
    return (
        say("{organisation} of {catalog}", organisation=grant["organisation"], catalog=catalog)
        if grant["organisation"]
        else catalog
    )


def _state(found: Mapping[str, Any]) -> State:
    if found["state"] == "disabled":
        return State(BAD, say("disabled"))
    if not found["grants"]:
        return State(ATTENTION, say("granted nothing"))
    return State(GOOD, say("active")) if found["signed_in_at"] else State(ATTENTION, say("invited"))


def _row(found: Mapping[str, Any], now: int) -> tuple[Cell, ...]:
    may = (
        joined([say("{role} of {where}", role=each["role"], where=_of(each)) for each in found["grants"]])
        if found["grants"]
        else say("nothing")
    )
    reason = found["login"] if found["name"] else ""
    return (
        text(called(found), href=place(found["person_id"]), reason=reason),
        Cell(state=_state(found)),
        text(may),
        Cell(at=moment(found["signed_in_at"], now), text=say("never")),
        Cell(at=moment(found["created_at"], now)),
    )


def _grant_row(grant: Mapping[str, Any], here: str, now: int) -> tuple[Cell, ...]:
    by_groups = grant["origin"] == "provider"
    revoke = (
        text(say("by groups"), reason=say("set at each sign-in"))
        if by_groups
        else text(say("Revoke"), href=f"{here}/grants/{grant['grant_id']}/revoke")
    )
    return (
        text(grant["role"]),
        text(_of(grant)),
        Cell(at=moment(grant["created_at"], now)),
        text(grant["created_by"]),
        revoke,
    )


def _session_row(
    each: Mapping[str, Any], own: str, now: int, *, names: bool, ends: str, asks: bool
) -> tuple[Cell, ...]:
    is_own, end = each["session_id"] == own, f"{ends}/{each['session_id']}/end"
    who = (text(each["name"], reason=say("a token") if each["token_id"] else ""),) if names else ()
    of = (
        say("{organisation} of {catalog}", organisation=each["organisation"], catalog=each["catalog"])
        if each["organisation"]
        else each["catalog"] or EVERYWHERE
    )
    return (
        *who,
        text(browser_of(each["browser"]), reason=say("this browser") if is_own else ""),
        text(each["address"] or say("unknown")),
        text(each["role"], reason=of),
        text(_METHODS.get(each["method"], each["method"])),
        Cell(at=moment(each["started_at"], now)),
        Cell(at=moment(each["seen_at"], now)),
        text(say("End"), href=end) if asks else Cell(text=say("End"), post=end),
    )


def _list_sentence(items: Sequence[Mapping[str, Any]], catalog: str) -> str:
    if not items and catalog:
        return say("Nobody has been invited to {catalog} yet.", catalog=catalog)
    if not items:
        return say("Nobody has been invited yet.")
    active = sum(each["state"] == "active" and bool(each["grants"]) for each in items)
    people = counted(len(items), "person", "people")
    if catalog:
        return say(
            "{people} of {catalog}, {active} of them may sign in.", people=people, catalog=catalog, active=active
        )
    return say("{people}, {active} of them may sign in.", people=people, active=active)


def _provider_facts(found: Mapping[str, Any]) -> tuple[tuple[str, Cell], ...]:
    """How the provider knows a person."""
    return (
        (say("Address"), text(found["email"] or say("none"))),
        (say("Provider"), text(found["issuer"] or say("not signed in yet"))),
        (say("Subject"), text(found["subject"] or say("not signed in yet"))),
    )


def _person_sentence(found: Mapping[str, Any], state: State) -> str:
    who = called(found)
    match state.word:
        case "disabled":
            return say("{who} is disabled and cannot sign in.", who=who)
        case "granted nothing":
            return say("{who} is granted nothing and cannot sign in.", who=who)
        case "invited":
            return say("{who} is invited and has not signed in yet.", who=who)
        case _:
            return say("{who} may sign in.", who=who)
