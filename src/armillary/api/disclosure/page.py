# SPDX-License-Identifier: Apache-2.0
"""The page on which strangers report a vulnerability: one form, no script, no cookie, nothing from anywhere else.

What a stranger wrote is put into a page only to be corrected, escaped, and only into the page that answers it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict
from hashlib import sha256
from html import escape
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.responses import Response

from armillary.errors import InvalidArgumentError, PermissionDeniedError, QuotaExceededError
from armillary.service.disclosure.policies import Policy
from armillary.service.disclosure.reports import not_taken
from armillary.wire.disclosure.submission import EXPLOITED, LIMITS, read_form

if TYPE_CHECKING:
    from armillary.service.assemble import SecurityService

_STYLE: Final = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:42rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;"
    "background:#fff}label{display:block;margin:1rem 0 .25rem;font-weight:600}small{font-weight:400;color:#555}"
    "input,textarea,select{width:100%;box-sizing:border-box;font:inherit;padding:.5rem;border:1px solid #767676;"
    "border-radius:.25rem}textarea{min-height:12rem}button{margin-top:1.5rem;font:inherit;padding:.6rem 1.2rem}"
    ".wrong{border-left:.25rem solid #b00020;padding-left:.75rem}code{font-size:1.25rem}"
)
_HASH: Final = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()
_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
# Field -> what it is called, and what is said of it.
_FIELDS: Final[tuple[tuple[str, str, str], ...]] = (
    ("title", "What is it, in a few words?", "needed"),
    ("description", "What did you find, and how can it be seen again?", "needed"),
    ("product", "Product", ""),
    ("version", "Version of its software", ""),
    ("exploited", "Is it being exploited, as far as you know?", ""),
    ("contact", "How do we reach you?", "an e-mail address, for instance; without it nobody can answer"),
    ("publication", "When do you mean to publish it?", ""),
)


def form(service: SecurityService) -> Response:
    """The empty form; NotFoundError where no reports are taken."""
    return _page("Report a vulnerability", _form(_policy(service), {}))


def take(service: SecurityService, content: bytes, address: str) -> Response:
    """What came of a form that was sent: the page with the reference number, or the form with what is wrong.

    NotFoundError where no reports are taken.
    """
    policy = _policy(service)
    try:
        given = read_form(content)
    except InvalidArgumentError as error:
        wrong = f'<p class="wrong" role="alert">{escape(error.message)}. {escape(error.remedy or "")}</p>'
        return _page("This could not be taken", wrong + _form(policy, _typed(content)), status=400)
    try:
        row = service.disclosure.reports.receive(given, address=address)
    except QuotaExceededError as error:
        said = f'<p class="wrong" role="alert">Not taken: {escape(error.message)}.</p>' + _contacts(policy)
        return _page(
            "Please try again later",
            said + _form(policy, asdict(given)),
            status=429,
            headers={"Retry-After": str(error.retry_after_s)},
        )
    thanks = (
        f"<p>Thank you. The number of your report is</p><p><code>{escape(row.reference)}</code></p>"
        f"<p>Keep it: it is shown this once. {escape(_promise(policy))}</p>"
    )
    return _page("Your report was taken", thanks, status=201)


def check_origin(request: Request) -> None:
    """Raise PermissionDeniedError for a form that another site has a browser send (Fetch Metadata)."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise PermissionDeniedError("the form came from another site", remedy="Use the form of this service.")


def _policy(service: SecurityService) -> Policy:
    found = service.disclosure.policies.current
    if found is None or not found.is_open:
        raise not_taken()
    return found


def _form(policy: Policy, values: Mapping[str, Any]) -> str:
    fields = "".join(_field(name, label, hint, str(values.get(name, ""))) for name, label, hint in _FIELDS)
    return (
        f"<p>{escape(_promise(policy))} Files cannot be sent: say where they are.</p>"
        f'<form method="post" accept-charset="utf-8">{fields}<button>Send the report</button></form>'
        + _contacts(policy)
    )


def _field(name: str, label: str, hint: str, value: str) -> str:
    head = f'<label for="{name}">{escape(label)}{f" <small>{escape(hint)}</small>" if hint else ""}</label>'
    attributes = f'id="{name}" name="{name}"' + (" required" if hint == "needed" else "")
    if name == "exploited":
        chosen = value or EXPLOITED[0]
        options = "".join(f"<option{' selected' if each == chosen else ''}>{each}</option>" for each in EXPLOITED)
        return f"{head}<select {attributes}>{options}</select>"
    attributes += f' maxlength="{LIMITS[name]}"'
    if name == "description":
        # The line end after the tag is not part of the text: HTML takes one away.
        return f"{head}<textarea {attributes}>\n{escape(value)}</textarea>"
    return f'{head}<input {attributes} value="{escape(value)}">'


def _typed(content: bytes) -> dict[str, str]:
    """What somebody wrote into a form that was refused, as far as it can be read, for the fields of the next one."""
    from urllib.parse import parse_qsl  # noqa: PLC0415 - of this rare case alone

    try:
        pairs = parse_qsl(content.decode("ascii"), errors="strict", max_num_fields=20)
    except ValueError:
        return {}
    return {name: text[: LIMITS[name]] for name, text in pairs if name in LIMITS}


def _promise(policy: Policy) -> str:
    return (
        f"Receipt is acknowledged within {policy.acknowledge_days} days, and you hear at least every "
        f"{policy.status_days} days how it stands, if you say how you are reached."
    )


def _contacts(policy: Policy) -> str:
    if not policy.contacts:
        return ""
    items = "".join(f'<li><a href="{escape(each)}">{escape(each)}</a></li>' for each in policy.contacts)
    return f"<p>You can also write to:</p><ul>{items}</ul>"


def _page(title: str, body: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
    return Response(text, status, headers={**_HEADERS, **(headers or {})}, media_type="text/html; charset=utf-8")
