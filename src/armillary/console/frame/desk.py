# SPDX-License-Identifier: Apache-2.0
"""What every request shares: who asks, the frame around a page, and rendering.

The frame is the rail, the operator, the theme and the last action's message; a place's page is put into it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from armillary.console.frame.assets import Assets
from armillary.console.frame.guard import SESSION_COOKIE, THEME_COOKIE
from armillary.console.frame.sessions import FormSeal, Sessions, SignedIn
from armillary.console.frame.words import grouped
from armillary.console.sources.source import Sources
from armillary.errors import UnauthenticatedError

# The left rail: only what exists.
PLACES = (
    ("Fleet", "/fleet"),
    ("Hub", "/dashboards"),
    ("Updates", "/updates"),
    ("Findings", "/findings"),
    ("Audit", "/audit"),
    ("Settings", "/settings"),
)
# Within the hub: what devices say and what is made of it.
HUB_PLACES = (
    ("Dashboards", "/dashboards"),
    ("Devices", "/hub-devices"),
    ("Alerts", "/alerts"),
    ("Rules", "/rules"),
    ("Templates", "/templates"),
    ("Groups", "/groups"),
    ("Jobs", "/jobs"),
    ("Exports", "/exports"),
)
# place -> beginnings of the paths that belong to it, where these are more than its own.
BELOW: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "/fleet": ("/fleet", "/devices"),
        "/dashboards": (*(href for _, href in HUB_PLACES), "/hub-", "/new-"),
        "/hub-devices": ("/hub-", "/new-hub-device"),
        "/templates": ("/templates", "/new-template"),
    }
)
# theme now -> (theme that the button chooses next, word on the button). "" follows the system.
THEMES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"": ("dark", "Theme: auto"), "dark": ("light", "Theme: dark"), "light": ("system", "Theme: light")}
)
# What an action says afterwards. The address carries only the key, so that nobody can write on our page.
TOLD: Mapping[str, tuple[str, str, bool]] = MappingProxyType(
    {
        "halt": ("good", "Halted. No further device is offered this update; Resume continues.", True),
        "resume": ("good", "Resumed. The planner continues with the next cohort.", True),
        "roll-back": ("good", "Rolling back. Devices are offered the deployment before at their next check-in.", True),
        "renamed": ("good", "Renamed. It is shown and found by this name everywhere.", True),
        "revoked": (
            "good",
            "Revoked. The device gets no certificate and the hub has let it go; Restore undoes it.",
            True,
        ),
        "restored": ("good", "Restored. The device can check in again.", True),
        "released": (
            "good",
            "Released. The next machine that proves this identity becomes the device; two that go on are held again.",
            True,
        ),
        "decommissioned": (
            "good",
            "Out of service. It opens nothing and is nobody's; it comes back only by an enrolment that is allowed.",
            True,
        ),
        "offered": (
            "good",
            "Offered. Nothing moves before the other catalog accepts; the offer can be cancelled.",
            True,
        ),
        "desired": ("good", "Set. The device is told at once if it is connected, else when it connects.", True),
        "acknowledged": ("good", "Acknowledged. It is listed under that status until somebody closes it.", True),
        "closed": ("good", "Closed. If it is seen again, a new finding opens.", True),
        "transfer-accept": (
            "good",
            "Accepted. The device sits in no device group yet: armillary device assign.",
            True,
        ),
        "transfer-decline": ("good", "Declined. The device stays with its owner.", True),
        "transfer-cancel": ("good", "Cancelled. Nobody can accept the offer any more.", True),
        "enrolment-revoked": ("good", "Revoked. It enrols no device any more; those it enrolled stay.", True),
        "created": ("good", "Created. Every later change is kept in the application's history, too.", True),
        "kept": ("good", "Saved. The version before stays in the application's history.", True),
        "deleted": ("good", "Deleted. Its versions stay in the application's history for a while.", True),
        "acknowledged-alert": ("good", "Acknowledged. It is listed under that status.", True),
        "published": ("good", "Published. This version never changes; devices can have it.", True),
        "begun": ("good", "Begun. The page shows how it is getting on.", True),
        "cancelled": ("good", "Cancelled. No other device begins; those under way still get their result.", True),
        "dashboard": ("good", "Saved. The version before stays in the application's history.", True),
        "dashboard-deleted": ("good", "Deleted. Its versions stay in the application's history for a while.", True),
        "tile-removed": ("good", "Removed. The other tiles stay where they were.", True),
        "template-made": ("good", "Made. It is a draft: publish it, then devices can have it.", True),
        "draft-kept": ("good", "Saved in the draft. The draft before stays in the application's history.", True),
        "draft-begun": ("good", "Begun. No device has the draft before it is published.", True),
        "template-given": ("good", "Done. What it sends is judged so from now on.", True),
        "template-moved": ("good", "Moved. Devices that were moved are judged by this version now.", True),
        "cloud-kept": ("good", "Saved. Rules that compare with it do so from now on.", True),
        "hub-device-made": ("good", "Made. It may connect as soon as its catalog admits what it shows.", True),
        "hub-disabled": (
            "good",
            "Disabled. Its connection is closed and it is let in no more; Enable undoes it.",
            True,
        ),
        "hub-enabled": ("good", "Enabled. It may connect with what it shows.", True),
        "hub-deleted": ("good", "Deleted, with its twin, messages and files.", True),
        "module-made": ("good", "Made. It connects with what its device shows.", True),
        "let-in": ("attention", "Let in. They may connect now, and attest nothing.", True),
        "kept-out": ("good", "Kept out. Those that were connected are cut off.", True),
        "enrolment-disabled": ("good", "Disabled. Nobody registers by it; Enable undoes it.", True),
        "enrolment-enabled": ("good", "Enabled. Devices that show what it names may register.", True),
        "enrolment-deleted": ("good", "Deleted. Nobody registers by it any more.", True),
        "service-key-deleted": ("good", "Deleted. Services that sign with it are refused.", True),
        "token-revoked": ("good", "Revoked. Its sessions ended with it.", True),
    }
)


class SignInNeededError(UnauthenticatedError):
    """Nobody is signed in, or the token behind the session no longer stands."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a signed-in operator.

    Attributes:
        here: Path and query of the page, as its links and its refresh use it.
        now: Unix seconds.
    """

    operator: SignedIn
    cookie: str
    here: str
    query: Mapping[str, str]
    params: Mapping[str, str]
    theme: str
    now: int


class Desk:
    """The console's shared state: sources, sessions, form seal, static files, templates."""

    def __init__(self, sources: Sources, clock: Callable[[], float]) -> None:
        self.sources = sources
        self.sessions = Sessions()
        self.seal = FormSeal()
        self.assets = Assets.load()
        self._clock = clock
        self._templates = Environment(
            loader=PackageLoader("armillary.console", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["static"] = self.assets.url

    def now(self) -> int:
        """Unix seconds."""
        return int(self._clock())

    def visit(self, request: Request) -> Visit:
        """Who asks. The token behind the session is asked for every time: a revoked one ends the session now.

        Raises:
            SignInNeededError: nobody is signed in, the session's time is over, or its token no longer stands.
        """
        cookie = request.cookies.get(SESSION_COOKIE, "")
        session = self.sessions.find(cookie, self.now()) if cookie else None
        operator = self.sources.door.standing(session.operator) if session else None
        if operator is None:
            self.sessions.close(cookie)
            raise SignInNeededError("Nobody is signed in.", remedy="Sign in with an operator token.")
        query = dict(request.query_params)
        here = request.url.path + (f"?{urlencode(query)}" if query else "")
        return Visit(operator, cookie, here, query, request.path_params, theme_of(request), self.now())

    def page(self, visit: Visit, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page in its frame."""
        severities = self.sources.fleet.summary()["open_findings"]
        grave = severities.get("critical", 0) + severities.get("high", 0)
        total = sum(severities.values())
        path = visit.here.partition("?")[0]
        places = [
            {
                "name": name,
                "href": href,
                "current": path.startswith(BELOW.get(href, (href,))),
                "count": grouped(total) if name == "Findings" and total else "",
                "kind": "bad" if grave else "attention",
            }
            for name, href in PLACES
        ]
        next_theme, theme_label = THEMES[visit.theme]
        told = TOLD.get(visit.query.get("told", ""))
        frame = {
            "now": visit.now,
            "theme": visit.theme,
            "next_theme": next_theme,
            "theme_label": theme_label,
            "places": places,
            "operator": visit.operator,
            "here": without_told(visit.here),
            "form_token": self.seal.token(visit.cookie),
            "hub_places": [
                (name, href, path.startswith(BELOW[href] if href != "/dashboards" and href in BELOW else (href,)))
                for name, href in HUB_PLACES
            ],
            "told": {"kind": told[0], "text": told[1], "audit": told[2]} if told else None,
        }
        return HTMLResponse(self._templates.get_template(template).render(page=frame, **values), status)

    def fragment(self, visit: Visit, template: str, **values: Any) -> Response:
        """A part of a page, for htmx to put in its place."""
        frame = {"now": visit.now, "form_token": self.seal.token(visit.cookie)}
        return HTMLResponse(self._templates.get_template(template).render(page=frame, **values))

    def bare_page(
        self, request: Request, template: str, *, door: str = "", status: int = 200, **values: Any
    ) -> Response:
        """A page without the frame: sign-in, and problems of somebody who is not signed in."""
        frame = {
            "now": self.now(),
            "theme": theme_of(request),
            "operator": None,
            "form_token": self.seal.token(door),
            "said": None,
            "back": "/fleet",
            **values.pop("page", {}),
        }
        return HTMLResponse(self._templates.get_template(template).render(page=frame, **values), status)


def theme_of(request: Request) -> str:
    """The theme that was chosen, or "" to follow the system."""
    theme = request.cookies.get(THEME_COOKIE, "")
    return theme if theme in THEMES else ""


def local_path(asked: str) -> str:
    """``asked`` when it is a path of this console, else the fleet: a form must not lead to another site."""
    harmless = asked.startswith("/") and not asked.startswith("//") and "\\" not in asked and asked.isprintable()
    return asked if harmless else "/fleet"


def without_told(here: str) -> str:
    """An address without the message of the last action, so that a refresh does not repeat it."""
    path, _, query = here.partition("?")
    kept = [part for part in query.split("&") if part and not part.startswith("told=")]
    return path + (f"?{'&'.join(kept)}" if kept else "")


def told(path: str, key: str) -> Response:
    """Lead back to ``path``, which then says what was done (POST, redirect, GET)."""
    path, _, fragment = local_path(path).partition("#")
    here = without_told(path)
    return RedirectResponse(f"{here}{'&' if '?' in here else '?'}told={key}{'#' + fragment if fragment else ''}", 303)


def set_cookie(response: Response, name: str, value: str, *, max_age_s: int) -> None:
    """Set a cookie that no script reads, no other site sends and no plain connection carries."""
    response.set_cookie(name, value, max_age=max_age_s, path="/", secure=True, httponly=True, samesite="strict")


def drop_cookie(response: Response, name: str) -> None:
    """Remove a cookie with the same attributes it was set with."""
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="strict")
