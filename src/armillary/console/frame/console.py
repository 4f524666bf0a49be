# SPDX-License-Identifier: Apache-2.0
"""What all requests share, and one request: who asks, the frame around a page, and rendering.

The frame is the rail, the operator, the theme and the last action's message; a place's page is put into it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from armillary.console.frame import flash
from armillary.console.frame.assets import Assets
from armillary.console.frame.guard import SESSION_COOKIE, THEME_COOKIE
from armillary.console.frame.sessions import FormSeal, Sessions
from armillary.console.frame.words import grouped
from armillary.console.sources.permissions import may_ask
from armillary.console.sources.signed_in import SignedIn
from armillary.errors import UnauthenticatedError

if TYPE_CHECKING:
    from armillary.console.sources.sources import Sources, SourcesFor

# The left rail, each place with what it asks: who may not ask that is not led there.
PLACES = (
    ("Fleet", "/fleet", "fleet.device"),
    ("Hub", "/dashboards", "application.documents"),
    ("Updates", "/updates", "updates.rollouts"),
    ("Findings", "/findings", "watch.findings"),
    ("Audit", "/audit", "settings.audit_lines"),
    ("Settings", "/settings", "settings.catalogs"),
)
# Within the hub: what devices say and what is made of it.
HUB_PLACES = (
    ("Dashboards", "/dashboards", "application.documents"),
    ("Devices", "/hub-devices", "list_hub_devices"),
    ("Alerts", "/alerts", "list_alerts"),
    ("Rules", "/rules", "list_rules"),
    ("Templates", "/templates", "list_templates"),
    ("Groups", "/groups", "list_groups"),
    ("Jobs", "/jobs", "list_jobs"),
    ("Exports", "/exports", "list_exports"),
)
# What devices install, how it reaches them, and who says so.
UPDATE_PLACES = (
    ("Roll-outs", "/updates", "updates.rollouts"),
    ("Releases", "/releases", "list_releases"),
    ("Images", "/images", "list_images"),
    ("Device groups", "/device-groups", "list_device_groups"),
    ("Keys", "/repository", "show_repository"),
    ("Signing keys", "/signing-keys", "show_signing_keys"),
)
# What the watch found, and what is known of devices' security.
SECURITY_PLACES = (
    ("Findings", "/findings", "watch.findings"),
    ("Advisories", "/advisories", "list_advisories"),
    ("Crashes", "/crashes", "list_crash_groups"),
    ("Actions", "/actions", "list_actions"),
    ("Notifications", "/notification-channels", "list_channels"),
    ("Cases", "/cases", "list_cases"),
    ("Reports", "/vulnerability-reports", "list_reports"),
    ("Dossiers", "/dossiers", "list_dossiers"),
    ("Products", "/products", "list_products"),
    ("Traces", "/traces", "trace_device"),
    ("Seven properties", "/assessment", "assess_fleet"),
)
WITHIN: Mapping[str, tuple[tuple[str, str, str], ...]] = MappingProxyType(
    {"hub": HUB_PLACES, "updates": UPDATE_PLACES, "security": SECURITY_PLACES}
)
# place -> beginnings of the paths that belong to it, where these are more than its own.
BELOW: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "/fleet": ("/fleet", "/devices"),
        "/dashboards": (*(href for _, href, _ in HUB_PLACES), "/hub-", "/new-hub-device", "/new-template"),
        "/updates": (*(href for _, href, _ in UPDATE_PLACES), "/new-release", "/os-feeds"),
        "/findings": (
            *(href for _, href, _ in SECURITY_PLACES),
            "/finding-kinds",
            "/advisory-coverage",
            "/new-case",
            "/new-notification-channel",
        ),
        "/notification-channels": ("/notification-channels", "/new-notification-channel"),
        "/cases": ("/cases", "/new-case"),
        "/advisories": ("/advisories", "/advisory-coverage"),
        "/hub-devices": ("/hub-", "/new-hub-device"),
        "/templates": ("/templates", "/new-template"),
        "/releases": ("/releases", "/new-release", "/os-feeds"),
    }
)
# theme now -> (theme that the button chooses next, word on the button). "" follows the system.
THEMES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"": ("dark", "Theme: auto"), "dark": ("light", "Theme: dark"), "light": ("system", "Theme: light")}
)


class SignInNeededError(UnauthenticatedError):
    """Nobody is signed in, or the session's token is no longer valid."""


class Console:
    """What all requests share: sources, sessions, form seal, static files, templates."""

    def __init__(self, sources: SourcesFor, clock: Callable[[], float]) -> None:
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
        """Who asks, and what they are shown. The session's token is asked for every time: a revoked one ends it now.

        Raises:
            SignInNeededError: nobody is signed in, the session's time is over, or its token is no longer valid.
        """
        cookie = request.cookies.get(SESSION_COOKIE, "")
        session = self.sessions.find(cookie, self.now()) if cookie else None
        operator = self.sources.sign_in.standing(session.operator) if session else None
        if operator is None:
            self.sessions.close(cookie)
            raise SignInNeededError("Nobody is signed in.", remedy="Sign in with an operator token.")
        query = dict(request.query_params)
        here = request.url.path + (f"?{urlencode(query)}" if query else "")
        sources, theme = self.sources.of(operator), theme_of(request)
        return Visit(self, operator, sources, cookie, here, query, request.path_params, theme, self.now())

    def bare_page(
        self, request: Request, template: str, *, cookie: str = "", status: int = 200, **values: Any
    ) -> Response:
        """A page without the frame: sign-in, and problems of somebody who is not signed in."""
        frame = {
            "now": self.now(),
            "theme": theme_of(request),
            "operator": None,
            "form_token": self.seal.token(cookie),
            "said": None,
            "back": "/fleet",
            **values.pop("page", {}),
        }
        return self.render(template, frame, status, values)

    def render(self, template: str, frame: Mapping[str, Any], status: int, values: Mapping[str, Any]) -> Response:
        """A template with its frame, which it knows as ``page``, and its values."""
        return HTMLResponse(self._templates.get_template(template).render(page=frame, **values), status)


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a signed-in operator.

    Attributes:
        sources: What pages ask: made for this operator.
        here: Path and query of the page, as its links and its refresh use it.
        now: Unix seconds.
    """

    console: Console
    operator: SignedIn
    sources: Sources
    cookie: str
    here: str
    query: Mapping[str, str]
    params: Mapping[str, str]
    theme: str
    now: int

    def page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page in its frame."""
        may = partial(may_ask, self.operator)
        severities = self.sources.fleet.summary()["open_findings"] if may("fleet.summary") else {}
        grave = severities.get("critical", 0) + severities.get("high", 0)
        total = sum(severities.values())
        path = self.here.partition("?")[0]
        places = [
            {
                "name": name,
                "href": href,
                "current": path.startswith(BELOW.get(href, (href,))),
                "count": grouped(total) if name == "Findings" and total else "",
                "kind": "bad" if grave else "attention",
            }
            for name, href, question in PLACES
            if may(question)
        ]
        next_theme, theme_label = THEMES[self.theme]
        frame = {
            "now": self.now,
            "theme": self.theme,
            "next_theme": next_theme,
            "theme_label": theme_label,
            "places": places,
            "operator": self.operator,
            "here": flash.without_message(self.here),
            "form_token": self.console.seal.token(self.cookie),
            "within": {
                part: [(name, href, path.startswith(_below(href))) for name, href, question in found if may(question)]
                for part, found in WITHIN.items()
            },
            "flash": flash.message(self.query),
            "has_audit": may("settings.audit_lines"),
        }
        return self.console.render(template, frame, status, values)

    def fragment(self, template: str, **values: Any) -> Response:
        """A part of a page, for htmx to put in its place."""
        frame = {"now": self.now, "form_token": self.console.seal.token(self.cookie)}
        return self.console.render(template, frame, 200, values)


def _below(href: str) -> tuple[str, ...]:
    """Beginnings of the paths that belong to a place within a part, whose first place is not the whole part."""
    is_whole = any(href == found[0][1] for found in WITHIN.values())
    return (href,) if is_whole else BELOW.get(href, (href,))


def theme_of(request: Request) -> str:
    """The theme that was chosen, or "" to follow the system."""
    theme = request.cookies.get(THEME_COOKIE, "")
    return theme if theme in THEMES else ""
