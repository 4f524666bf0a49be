# SPDX-License-Identifier: Apache-2.0
"""How each kind of channel is told. Blocks; each call is bounded in time, and shows nothing that a target chose to say.

An attempt tells a channel of one event or of several, in order. It returns what came back, in a few words, or raises:
:class:`NotNowError` where another attempt may go well, :class:`NeverError` where it would not.
"""

from __future__ import annotations

import http.client
import json
import smtplib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from armillary import __version__
from armillary.engines.exports.files import JsonLines
from armillary.engines.outbound import email, syslog, webhook
from armillary.engines.outbound.attempts import NeverError, NotNowError, brief, check_status
from armillary.engines.outbound.email import MailServer
from armillary.engines.outbound.webhook import AllowedHosts
from armillary.engines.records.schema.security.notification_rows import Channel
from armillary.errors import ArmillaryError, DataFolderError, PermissionDeniedError, WireError
from armillary.twin.document.document import timestamp
from armillary.wire.device.finding import SEVERITIES
from armillary.wire.notification import event as notification, ocsf, otlp_logs, syslog as syslog_message
from armillary.wire.notification.event import Event, legible, one_line

# Events of one attempt. A webhook's is one request, so that its answer is about one; an e-mail can still be read.
BATCH: Final[Mapping[str, int]] = {"webhook": 1, "e-mail": 20, "syslog": 100, "otlp": 100, "ocsf-file": 500}
# Files of an ``ocsf-file`` channel: as many hold a million events, which is what whoever reads them has time for.
ROTATE_BYTES: Final = 64 << 20
KEEP_FILES: Final = 16
_ANSWER_BYTES: Final = 64 << 10  # of a collector, which answers with a few numbers and a text
_JSON: Final = "application/json"
# What stands for itself in a header of a CloudEvent (HTTP binding 1.0.2 §3.1.3.2); the rest is percent-encoded.
_HEADER_SAFE: Final = "!#$&'()*+,-./:;<=>?@[\\]^_`{|}~"


@dataclass(frozen=True, slots=True)
class Told:
    """One event as a channel is told of it."""

    event: Event
    sequence: int  # within the channel
    attempt: int  # from 1
    catalog: tuple[UUID, str] | None  # id and name of the one that it belongs to

    @property
    def catalog_name(self) -> str | None:
        """Name of the catalog; None for an event of the service."""
        return None if self.catalog is None else self.catalog[1]

    @property
    def source(self) -> str:
        """Where it comes from: the ``source`` of a CloudEvent."""
        owner = "/service" if self.catalog is None else f"/catalogs/{self.catalog[1]}"
        return f"{owner}/{self.event.topic}s"


@dataclass(frozen=True, slots=True)
class Targets:
    """Tells channels."""

    mail: MailServer
    hosts: AllowedHosts
    folder: Path  # of the channels that write files
    host: str  # the name that this service goes by
    clock: Callable[[], float] = field(repr=False)  # Unix time, seconds

    def tell(self, channel: Channel, hidden: Mapping[str, str], told: Sequence[Told]) -> str:
        """Tell a channel of events, in order; ``hidden`` are its address and secret.

        Raises:
            NotNowError: later, perhaps.
            NeverError: not at all.
        """
        tell: Mapping[str, Callable[[Channel, Mapping[str, str], Sequence[Told]], str]] = {
            "webhook": self._webhook,
            "e-mail": self._email,
            "syslog": self._syslog,
            "otlp": self._otlp,
            "ocsf-file": self._file,
        }
        try:
            return tell[channel.kind](channel, hidden, told)
        except PermissionDeniedError as error:
            raise NeverError(error.message) from error

    def _webhook(self, channel: Channel, hidden: Mapping[str, str], told: Sequence[Told]) -> str:
        (one,) = told
        headers = {"User-Agent": "armillary", "Armillary-Attempt": str(one.attempt)}
        content_type = webhook.CONTENT_TYPE
        if channel.options["format"] == "ocsf":
            body, content_type = _line(self._ocsf(one)), _JSON
            headers |= _binary_mode(one)
        else:
            body = webhook.event(
                str(one.event.event_id),
                one.source,
                one.event.subject,
                one.event.at * 1000,
                {**notification.to_json(one.event), "catalog": one.catalog_name},
                kind=one.event.kind,
                sequence=str(one.sequence),
            )
        if "secret" in hidden:
            headers[webhook.SIGNATURE_HEADER] = webhook.sign(hidden["secret"], body, int(self.clock()))
        return self._post(hidden["url"], body, headers, content_type)[0]

    def _otlp(self, channel: Channel, hidden: Mapping[str, str], told: Sequence[Told]) -> str:
        records = (otlp_logs.Record(each.event, each.sequence, each.catalog_name) for each in told)
        body = otlp_logs.request(records, host=self.host, version=__version__)
        headers = {"User-Agent": "armillary"}
        if "secret" in hidden:
            headers[channel.options["header"]] = hidden["secret"]
        said, answer = self._post(hidden["url"], body, headers, otlp_logs.CONTENT_TYPE)
        try:
            rejected = otlp_logs.rejected_of(answer)
        except WireError:
            return f"{said}, with something else than a collector says"
        if rejected:
            raise NeverError(f"{said}, and did not take {rejected} of {len(told)} log records")
        return said

    def _email(self, channel: Channel, _: Mapping[str, str], told: Sequence[Told]) -> str:
        gravest = max((each.event.severity for each in told), key=SEVERITIES.index)
        first = told[0].event
        subject = (
            f"{gravest}: {first.title}" if len(told) == 1 else f"{gravest}: {first.title} (and {len(told) - 1} more)"
        )
        text = "\n".join(map(_paragraphs, told))
        try:
            remark = email.send(
                self.mail, f"{first.event_id}.{told[0].attempt}", channel.options["to"], one_line(subject), text
            )
        except email.RefusedError as error:
            raise NeverError(str(error)) from error
        except ArmillaryError as error:  # no mail server is set
            raise NotNowError(error.message) from error
        except (OSError, smtplib.SMTPException) as error:
            raise NotNowError(f"the mail server does not take it ({brief(error)})") from error
        return remark or "the mail server has taken it"

    def _syslog(self, channel: Channel, _: Mapping[str, str], told: Sequence[Told]) -> str:
        options = channel.options
        limit = syslog_message.MAX_DATAGRAM_BYTES if options["transport"] == "udp" else syslog_message.MAX_BYTES
        messages = [
            syslog_message.message(
                each.event,
                host=self.host,
                facility=options["facility"],
                sequence=each.sequence,
                catalog=each.catalog_name,
                limit=limit,
            )
            for each in told
        ]
        try:
            syslog.send(
                messages,
                options["host"],
                options["port"],
                options["transport"],
                self.hosts,
                authority=options["ca"] or "",
            )
        except OSError as error:
            raise NotNowError(f"not taken ({brief(error)})") from error
        return "sent; syslog answers nothing"

    def _file(self, channel: Channel, _: Mapping[str, str], told: Sequence[Told]) -> str:
        lines = JsonLines(self.folder / str(channel.channel_id), rotate_bytes=ROTATE_BYTES, keep_files=KEEP_FILES)
        try:
            lines.append([_line(self._ocsf(each)) for each in told])
        except DataFolderError as error:
            raise NotNowError(error.message) from error
        return f"written to notifications/{channel.channel_id} in the data folder"

    def _ocsf(self, told: Told) -> dict[str, Any]:
        return ocsf.of_event(told.event, catalog=told.catalog, product_version=__version__, sequence=told.sequence)

    def _post(self, url: str, body: bytes, headers: dict[str, str], content_type: str) -> tuple[str, bytes]:
        """Send; what came back, as a few words and as the first bytes of the body, which are for programs alone."""
        try:
            status, retry_after, answer = webhook.exchange(
                url, body, headers, self.hosts, content_type=content_type, most=_ANSWER_BYTES
            )
        except (OSError, http.client.HTTPException) as error:
            raise NotNowError(f"no answer ({brief(error)})") from error
        check_status(status, retry_after)
        return f"answered {status}", answer


def _binary_mode(told: Told) -> dict[str, str]:
    """The context of a CloudEvent as headers, beside a body that is the event's data (HTTP binding 1.0.2 §3.1)."""
    event = told.event
    return {
        "ce-specversion": "1.0",
        "ce-id": str(event.event_id),
        "ce-source": told.source,
        "ce-type": f"armillary.{event.kind}",
        "ce-subject": quote(one_line(event.subject), safe=_HEADER_SAFE),
        "ce-time": timestamp(event.at * 1000),
        "ce-sequence": str(told.sequence),
    }


def _line(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def _paragraphs(told: Told) -> str:
    event = told.event
    owner = "the service" if told.catalog is None else f"catalog {told.catalog[1]}"
    return (
        f"{event.severity.upper()}: {one_line(event.title)}\n"
        f"{notification.KINDS[event.kind]} At {timestamp(event.at * 1000)}, of {owner}.\n\n"
        f"{legible(event.text)}\n\n"
        f"{event.topic} {one_line(event.subject)}, event {event.event_id}, number {told.sequence} of this channel.\n"
    )
