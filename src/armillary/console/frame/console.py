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

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from armillary.console.frame import flash, times
from armillary.console.frame.assets import Assets
from armillary.console.frame.guard import (
    CLOCK_COOKIE,
    LANGUAGE_COOKIE,
    SESSION_COOKIE,
    THEME_COOKIE,
    FormSeal,
    OnceOnly,
)
from armillary.console.frame.words import grouped
from armillary.console.language.preference import preferred
from armillary.console.language.rendering import Rendering
from armillary.console.language.say import say
from armillary.console.language.translation import ENGLISH, LANGUAGES, translation
from armillary.console.sources.permissions import may_ask
from armillary.console.sources.signed_in import SignedIn
from armillary.errors import UnauthenticatedError

if TYPE_CHECKING:
    from armillary.console.sources.sources import Sources, SourcesFor

# The left rail, each place with what it asks: who may not ask that is not led there.
PLACES = (
    (say("Fleet"), "/fleet", "fleet.device"),
    (say("Hub"), "/dashboards", "application.documents"),
    (say("Updates"), "/updates", "updates.rollouts"),
    (say("Findings"), "/findings", "watch.findings"),
    (say("Alerts"), "/alerts", "list_alerts"),
    (say("Audit"), "/audit", "settings.audit_lines"),
    (say("Settings"), "/settings", "settings.catalogs"),
)
# Within the hub: what devices say and what is made of it.
HUB_PLACES = (
    (say("Dashboards"), "/dashboards", "application.documents"),
    (say("Devices"), "/hub-devices", "list_hub_devices"),
    (say("Guardians"), "/guardians", "list_guardians"),
    (say("Rules"), "/rules", "list_rules"),
    (say("Templates"), "/templates", "list_templates"),
    (say("Segments"), "/groups", "list_groups"),
    (say("Jobs"), "/jobs", "list_jobs"),
    (say("Exports"), "/exports", "list_exports"),
)
# What devices install, how it reaches them, and who says so.
UPDATE_PLACES = (
    (say("Roll-outs"), "/updates", "updates.rollouts"),
    (say("Releases"), "/releases", "list_releases"),
    (say("Images"), "/images", "list_images"),
    (say("Device groups"), "/device-groups", "list_device_groups"),
    (say("Keys"), "/repository", "show_repository"),
    (say("Signing keys"), "/signing-keys", "show_signing_keys"),
)
# What the watch found, and what is known of devices' security.
SECURITY_PLACES = (
    (say("Findings"), "/findings", "watch.findings"),
    (say("Advisories"), "/advisories", "list_advisories"),
    (say("Crashes"), "/crashes", "list_crash_groups"),
    (say("Actions"), "/actions", "list_actions"),
    (say("Notifications"), "/notification-channels", "list_channels"),
    (say("Cases"), "/cases", "list_cases"),
    (say("Reports"), "/vulnerability-reports", "list_reports"),
    (say("Dossiers"), "/dossiers", "list_dossiers"),
    (say("Products"), "/products", "list_products"),
    (say("Traces"), "/traces", "trace_device"),
    (say("Seven properties"), "/assessment", "assess_fleet"),
)
WITHIN: Mapping[str, tuple[tuple[str, str, str], ...]] = MappingProxyType(
    {"hub": HUB_PLACES, "updates": UPDATE_PLACES, "security": SECURITY_PLACES}
)
# place -> beginnings of the paths that belong to it, where these are more than its own.
BELOW: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "/fleet": ("/fleet", "/devices", "/add-devices", "/applications"),
        "/dashboards": (*(href for _, href, _ in HUB_PLACES), "/hub-", "/new-hub-device", "/new-template"),
        "/updates": (
            *(href for _, href, _ in UPDATE_PLACES),
            "/new-release",
            "/new-image",
            "/new-rollout",
            "/os-feeds",
        ),
        "/findings": (
            *(href for _, href, _ in SECURITY_PLACES),
            "/finding-kinds",
            "/advisory-coverage",
            "/new-case",
            "/new-notification-channel",
        ),
        "/alerts": ("/alerts", "/acknowledge-alerts"),
        "/notification-channels": ("/notification-channels", "/new-notification-channel"),
        "/cases": ("/cases", "/new-case"),
        "/advisories": ("/advisories", "/advisory-coverage"),
        "/hub-devices": ("/hub-", "/new-hub-device"),
        "/templates": ("/templates", "/new-template"),
        "/releases": ("/releases", "/new-release", "/os-feeds"),
        "/images": ("/images", "/new-image"),
        "/settings": ("/settings", "/people", "/sessions", "/catalogs"),
    }
)
# theme now -> (theme that the button chooses next, word on the button). "" follows the system.
THEMES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"": ("dark", say("Theme: auto")), "dark": ("light", say("Theme: dark")), "light": ("system", say("Theme: light"))}
)
# clock now -> (clock that the button chooses next, word on the button): the zone of exact times. The browser's zone is
# known to its script alone; without script they are in UTC, as each says.
CLOCKS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"utc": ("local", say("Times: UTC")), "local": ("utc", say("Times: local"))}
)


class SignInNeededError(UnauthenticatedError):
    """Nobody is signed in, or what the session was opened with is no longer valid."""


class Console:
    """What all requests share: sources, sessions, form seal, static files, templates."""

    def __init__(self, sources: SourcesFor, clock: Callable[[], float]) -> None:
        self.sources = sources
        self.sessions = sources.sessions
        self.seal = FormSeal()
        self.once = OnceOnly()
        self.assets = Assets.load()
        self._clock = clock
        self._rendering = Rendering(self.assets.url)

    def now(self) -> int:
        """Unix seconds."""
        return int(self._clock())

    def visit(self, request: Request) -> Visit:
        """Who asks, and what they are shown. Token, or person and grant, are asked for every time.

        Raises:
            SignInNeededError: nobody is signed in, the session's time is over, or what it stands on was revoked.
        """
        cookie = request.cookies.get(SESSION_COOKIE, "")
        session = self.sessions.find(cookie, self.now()) if cookie else None
        operator = self.sources.sign_in.standing(session.operator) if session else None
        if operator is None:
            self.sessions.close(cookie)
            raise SignInNeededError("Nobody is signed in.", remedy="Sign in.")
        query = dict(request.query_params)
        here = request.url.path + (f"?{urlencode(query)}" if query else "")
        sources, theme, clock, language = (
            self.sources.of(operator),
            theme_of(request),
            clock_of(request),
            language_of(request),
        )
        params, now = request.path_params, self.now()
        return Visit(self, operator, sources, cookie, here, query, params, theme, now, clock=clock, language=language)

    def bare_page(
        self, request: Request, template: str, *, cookie: str = "", status: int = 200, **values: Any
    ) -> Response:
        """A page without the frame: sign-in, and problems of somebody who is not signed in."""
        frame = {
            "now": self.now(),
            "theme": theme_of(request),
            "language": language_of(request),
            "languages": LANGUAGES,
            "operator": None,
            "form_token": self.seal.token(cookie),
            "said": None,
            "back": "/fleet",
            **values.pop("page", {}),
        }
        return self.render(template, frame, status, values)

    def render(self, template: str, frame: Mapping[str, Any], status: int, values: Mapping[str, Any]) -> Response:
        """A template with its frame, which it knows as ``page``, and its values."""
        return HTMLResponse(self.text(template, frame, values), status)

    def text(self, template: str, frame: Mapping[str, Any], values: Mapping[str, Any]) -> str:
        """What :meth:`render` answers, as text, in the frame's language."""
        return self._rendering.text(template, frame["language"], frame, values)


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a signed-in operator.

    Attributes:
        sources: What pages ask: made for this operator.
        here: Path and query of the page, as its links and its refresh use it.
        now: Unix seconds.
        clock: Whether exact times are shown in ``utc`` or ``local``, the browser's zone.
        language: The language that was chosen (``LANGUAGES``).
        sheets: Takes what the page would show, where its table is exported; None where it is shown.
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
    sheets: list[Any] | None = None
    clock: str = "utc"
    language: str = ENGLISH

    def page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page in its frame."""
        may = partial(may_ask, self.operator)
        waiting = {
            "Findings": self.sources.fleet.summary()["open_findings"] if may("fleet.summary") else {},
            "Alerts": self.sources.application.open_alerts() if may("application.open_alerts") else {},
        }
        path = self.here.partition("?")[0]
        places = [
            {
                "name": name,
                "href": href,
                "current": path.startswith(BELOW.get(href, (href,))),
                **_count_of(waiting.get(name, {})),
            }
            for name, href, question in PLACES
            if may(question)
        ]
        next_theme, theme_label = THEMES[self.theme]
        next_clock, clock_label = CLOCKS[self.clock]
        frame = {
            "now": self.now,
            "theme": self.theme,
            "next_theme": next_theme,
            "theme_label": theme_label,
            "clock": self.clock,
            "next_clock": next_clock,
            "clock_label": clock_label,
            "language": self.language,
            "languages": LANGUAGES,
            "places": places,
            "operator": self.operator,
            "here": flash.without_message(self.here),
            "form_token": self.console.seal.token(self.cookie),
            "within": {
                part: [(name, href, path.startswith(_below(href))) for name, href, question in found if may(question)]
                for part, found in WITHIN.items()
            },
            "flash": flash.message(self.query),
            "has_audit": may("settings.audit_lines") and self.query.get(flash.PARAMETER) not in flash.UNCHANGED,
            "timed": self.timed,
            "range": times.given_in(self.query),
        }
        return self.console.render(template, frame, status, values)

    def fragment(self, template: str, **values: Any) -> Response:
        """A part of a page, for htmx to put in its place."""
        return HTMLResponse(self.part(template, **values))

    def part(self, template: str, **values: Any) -> str:
        """A part of a page as text."""
        frame = {
            "now": self.now,
            "language": self.language,
            "form_token": self.console.seal.token(self.cookie),
            "timed": self.timed,
        }
        return self.console.text(template, frame, values)

    def said(self, document: Any) -> Any:
        """A document for a script, with its texts in the language that was chosen."""
        return document if self.language == ENGLISH else translation(self.language).document(document)

    def timed(self, href: str) -> str:
        """A way to another page, which shows the same stretch of time as this one (``times.py``)."""
        return times.carried(href, times.given_in(self.query))


def _count_of(severities: Mapping[str, int]) -> dict[str, str]:
    """The figure beside a place: how many wait, and how grave the gravest is."""
    total = sum(severities.values())
    is_grave = bool(severities.get("critical", 0) + severities.get("high", 0))
    return {"count": grouped(total) if total else "", "kind": "bad" if is_grave else "attention"}


def _below(href: str) -> tuple[str, ...]:
    """Beginnings of the paths that belong to a place within a part, whose first place is not the whole part."""
    is_whole = any(href == found[0][1] for found in WITHIN.values())
    return (href,) if is_whole else BELOW.get(href, (href,))


def theme_of(request: Request) -> str:
    """The theme that was chosen, or "" to follow the system."""
    theme = request.cookies.get(THEME_COOKIE, "")
    return theme if theme in THEMES else ""


def clock_of(request: Request) -> str:
    """The clock that was chosen, or ``utc``."""
    clock = request.cookies.get(CLOCK_COOKIE, "")
    return clock if clock in CLOCKS else "utc"


def language_of(request: Request) -> str:
    """The language that was chosen; else the one that the browser asks for."""
    language = request.cookies.get(LANGUAGE_COOKIE, "")
    return language if language in LANGUAGES else preferred(request.headers.get("accept-language", ""))
