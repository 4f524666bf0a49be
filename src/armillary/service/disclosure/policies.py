# SPDX-License-Identifier: Apache-2.0
"""How strangers are asked to report vulnerabilities: fields of ``security.txt``, the intake, the published times."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final
from urllib.parse import urlsplit

from sqlalchemy import Connection

from armillary.engines.records.queries.security import disclosure as rows
from armillary.engines.records.schema.security.disclosure_rows import PolicyRow
from armillary.errors import InvalidArgumentError, NotFoundError
from armillary.regulation.vulnerability_report import ACKNOWLEDGE_DAYS, DAY_S, STATUS_DAYS, Promise
from armillary.service.context.context import Context
from armillary.wire.disclosure import security_txt
from armillary.wire.disclosure.security_txt import URI_FIELDS, SecurityTxt

# Where the intake and the file are, below the public address.
INTAKE_PATH: Final = "/vulnerability-report"
FILE_PATH: Final = "/.well-known/security.txt"
# How long the file may be relied on. RFC 9116 §2.5.5 recommends less than a year; it is made anew at every request.
FILE_LIFE_S: Final = 180 * DAY_S
TARGET: Final = "disclosure"  # of audit lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is published. Tuples have URIs, but ``languages``.

    Attributes:
        is_open: Whether the page and the route for reports take any.
        base_url: The public address, ``https://host[:port]``; empty for the one that the request came to.
        acknowledge_days: Within so many days receipt is acknowledged.
        status_days: Every so many days whoever reported hears how it stands.
        signed_file: A ``security.txt`` of the operator's own, signed by its OpenPGP key, that is served as it is until
            it expires; empty for none.
    """

    contacts: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    canonical: tuple[str, ...] = ()
    encryption: tuple[str, ...] = ()
    acknowledgments: tuple[str, ...] = ()
    policy: tuple[str, ...] = ()
    hiring: tuple[str, ...] = ()
    csaf: tuple[str, ...] = ()
    is_open: bool = False
    base_url: str = ""
    acknowledge_days: int = ACKNOWLEDGE_DAYS
    status_days: int = STATUS_DAYS
    signed_file: str = ""

    @property
    def promise(self) -> Promise:
        """The times that are published."""
        return Promise(self.acknowledge_days, self.status_days)

    @property
    def signed_until(self) -> int | None:
        """When the operator's own file expires, Unix seconds; None without one."""
        return security_txt.parse(self.signed_file.encode()).expires if self.signed_file else None


_NAMES: Final = tuple(each.name for each in fields(Policy))
_TUPLES: Final = (*URI_FIELDS.values(), "languages")


class Policies:
    """The one policy of a service. From any thread; the records have one writer, this process."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._kept: Policy | None = None
        self._is_read = False
        self._changing = threading.Lock()  # from what is read to what is kept: no change undoes another

    @property
    def current(self) -> Policy | None:
        """What is published; None where nobody said anything: then there is no file, and no report is taken."""
        if not self._is_read:
            row = self._context.records.read(rows.policy)
            self._kept, self._is_read = None if row is None else _of_row(row), True
        return self._kept

    def set(self, changes: Mapping[str, Any], *, actor: str) -> Policy:
        """Change what is published; what is not named stays as it is.

        Raises:
            InvalidArgumentError: a name or value that is none, or nothing would be left to turn to.
        """
        wrong = [name for name in changes if name not in _NAMES]
        if wrong:
            raise InvalidArgumentError(f"disclosure: there is no {wrong[0]!a:.40}", remedy=f"Use {', '.join(_NAMES)}.")
        values: dict[str, Any] = {name: _value(name, value) for name, value in changes.items()}
        with self._changing:
            made = replace(self.current or Policy(), **values)
            _check(made, self._context.now())
            self._keep(made, actor, sorted(changes))
        return made

    def clear(self, *, actor: str) -> None:
        """Publish nothing any more, and take no report; those that came stay."""
        with self._changing:
            self._keep(None, actor, [])

    def file(self, address: str) -> bytes:
        """``security.txt`` for the address (``https://host:port``) that a request came to.

        Raises:
            NotFoundError: nobody said where reports go.
        """
        found, now = self.current, self._context.now()
        if found is None:
            raise NotFoundError("this service publishes no security.txt", remedy="armillary disclosure set")
        until = found.signed_until
        if until is not None and until > now:
            return found.signed_file.encode()
        base = found.base_url or address
        contacts = (*found.contacts, *((base + INTAKE_PATH,) if found.is_open else ()))
        made = SecurityTxt(
            # Of a day, so that it is the same for everybody who asks on that day.
            expires=(now + FILE_LIFE_S) // DAY_S * DAY_S,
            contacts=contacts,
            languages=found.languages,
            canonical=found.canonical or (base + FILE_PATH,),
            encryption=found.encryption,
            acknowledgments=found.acknowledgments,
            policy=found.policy,
            hiring=found.hiring,
            csaf=found.csaf,
        )
        return security_txt.build(made).encode()

    def _keep(self, made: Policy | None, actor: str, named: list[str]) -> None:
        now = self._context.now()

        def change(connection: Connection) -> None:
            row = None if made is None else PolicyRow(document=_document(made), changed_at=now, changed_by=actor)
            rows.put_policy(connection, row)
            operation = "disclosure.clear" if made is None else "disclosure.set"
            detail = {} if made is None else {name: _detail(made, name) for name in named}
            self._context.audit(connection, actor, operation, TARGET, detail)

        self._context.records.write(change)
        self._kept, self._is_read = made, True


def _check(made: Policy, now: int) -> None:
    for name, attribute in URI_FIELDS.items():
        security_txt.check_uris(name, getattr(made, attribute))
    security_txt.check_languages(made.languages)
    made.promise  # noqa: B018 - it raises for days that are none
    if made.base_url:
        parts = urlsplit(made.base_url)
        if parts.scheme != "https" or not parts.netloc or parts.path or parts.query or "@" in parts.netloc:
            raise InvalidArgumentError(
                f"base_url: expected https://host or https://host:port, got {made.base_url!a:.80}",
                remedy="Give the address by which strangers reach this service.",
            )
    if made.signed_file and (made.signed_until or 0) <= now:
        raise InvalidArgumentError("signed_file: it has expired", remedy="Sign one whose Expires is to come.")
    if not (made.contacts or made.is_open or made.signed_file):
        raise InvalidArgumentError(
            "contacts: expected one at least while the intake is off",
            remedy="Give a contact such as mailto:security@example.com, or turn the intake on.",
        )


def _of_row(row: PolicyRow) -> Policy:
    found = json.loads(row.document)
    return Policy(**{name: _value(name, value) for name, value in found.items()})


def _value(name: str, value: Any) -> Any:
    return tuple(value) if name in _TUPLES else value


def _document(made: Policy) -> str:
    return json.dumps(asdict(made), sort_keys=True)


def _detail(made: Policy, name: str) -> object:
    """What an audit line says of a value: of a file its length, as it may be long."""
    value = getattr(made, name)
    return len(value) if name == "signed_file" else list(value) if isinstance(value, tuple) else value
