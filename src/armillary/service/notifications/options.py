# SPDX-License-Identifier: Apache-2.0
"""What a channel of each kind needs: its options, checked, and what of them nobody is shown again.

========= ========================================================= ====================================
kind      options                                                   secret
========= ========================================================= ====================================
webhook   ``url``, ``format`` (``cloudevents`` or ``ocsf``)         signs (HMAC-SHA256); none: unsigned
e-mail    ``to``: addresses                                         none: the service's mail server has it
syslog    ``host``, ``port``, ``transport``, ``facility``, ``ca``   none
otlp      ``url``, ``header``                                       the value of that header
ocsf-file none                                                      none
========= ========================================================= ====================================

Whoever knows the address of a webhook can often write to it: of a ``url`` only scheme, host and port are shown.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from armillary.engines.outbound import syslog
from armillary.engines.outbound.webhook import AllowedHosts, check_url, place_of
from armillary.errors import InvalidArgumentError
from armillary.twin.rule.action import MAX_ADDRESSES, MAX_URL_CHARACTERS, SECRET_WORDS, is_mail_address, is_secret
from armillary.wire.encoding.json_fields import JsonFields
from armillary.wire.notification.syslog import FACILITIES, LOCAL0

FORMATS: Final = ("cloudevents", "ocsf")
AUTHORIZATION: Final = "Authorization"
MAX_HOST_CHARACTERS: Final = 253  # of a name in the DNS
MAX_PEM_CHARACTERS: Final = 16 << 10  # a few certificates
MAX_HEADER_VALUE: Final = 4096  # of a token; servers take 8 KiB for all headers
_REMEDY: Final = "See docs/guides/notifications.md for what each kind of channel needs."
_HOST: Final = re.compile(r"[A-Za-z0-9._:-]+", re.ASCII)
_HEADER: Final = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ChannelOptions:
    """The checked options of a channel."""

    shown: Mapping[str, Any]  # for everybody who sees the channel
    hidden: Mapping[str, str] = field(default_factory=dict, repr=False)  # sealed in the records: ``url``, ``secret``


def read_options(kind: str, given: object, secret: str | None, allowed: AllowedHosts) -> ChannelOptions:
    """The options of a channel, complete.

    Raises:
        InvalidArgumentError: an unknown kind, a field that is missing, wrong or unknown, a host that is not allowed, or
            a secret that this kind has not or that cannot be one; the message does not repeat it.
    """
    if kind not in _READERS:
        raise InvalidArgumentError(f"kind: expected {', '.join(KINDS)}, got {kind!a:.40}", remedy="Use one of them.")
    fields = JsonFields(given, "options", _REMEDY)
    options = _READERS[kind](fields, secret, allowed)
    fields.finish()
    return options


def _webhook(fields: JsonFields, secret: str | None, allowed: AllowedHosts) -> ChannelOptions:
    url = _url(fields, allowed)
    if secret is not None and not is_secret(secret):
        raise InvalidArgumentError(f"secret: expected {SECRET_WORDS}", remedy="Make one: openssl rand -hex 32.")
    shown = {"url": _origin(url), "format": fields.choice("format", FORMATS, FORMATS[0]), "signed": secret is not None}
    return ChannelOptions(shown, _hidden(url=url, secret=secret))


def _otlp(fields: JsonFields, secret: str | None, allowed: AllowedHosts) -> ChannelOptions:
    url, header = _url(fields, allowed), fields.text("header", most=64, default=AUTHORIZATION)
    if not _HEADER.fullmatch(header):
        raise fields.refused("header", "the name of an HTTP header", header)
    if secret is not None and not (secret.isascii() and secret.isprintable() and 1 <= len(secret) <= MAX_HEADER_VALUE):
        raise InvalidArgumentError(
            f"secret: expected 1 to {MAX_HEADER_VALUE} printable ASCII characters, the value of the header {header}",
            remedy="Give what the collector asks for, such as: Bearer TOKEN.",
        )
    shown = {"url": _origin(url), "header": None if secret is None else header}
    return ChannelOptions(shown, _hidden(url=url, secret=secret))


def _email(fields: JsonFields, secret: str | None, _: AllowedHosts) -> ChannelOptions:
    _check_none(secret)
    addresses = fields.items("to", most=MAX_ADDRESSES)
    for each in addresses or [None]:
        if not is_mail_address(each):
            raise fields.refused("to", "addresses such as desk@example.com", each)
    return ChannelOptions({"to": list(addresses)})


def _syslog(fields: JsonFields, secret: str | None, allowed: AllowedHosts) -> ChannelOptions:
    _check_none(secret)
    transport = fields.choice("transport", syslog.TRANSPORTS, syslog.TRANSPORTS[0])
    host, port = fields.text("host", most=MAX_HOST_CHARACTERS), fields.integer("port", 1, 65535)
    facility = fields.integer("facility", FACILITIES.start, FACILITIES.stop - 1, default=LOCAL0)
    authority = fields.text("ca", most=MAX_PEM_CHARACTERS, default="", lines=True)
    if not _HOST.fullmatch(host):
        raise fields.refused("host", "a host name or an address", host)
    if authority:
        _check_authority(authority, fields)
    try:
        check_url(syslog.address_of(host, port, transport), allowed)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(
            f"syslog: {transport} to {host}:{port} is not allowed",
            remedy="Use tls to a public host, at port 443 or one from 1024 on, or have the administrator name the host "
            "in the setting webhook_hosts.",
        ) from error
    return ChannelOptions(
        {"host": host, "port": port, "transport": transport, "facility": facility, "ca": authority or None}
    )


def _file(_: JsonFields, secret: str | None, __: AllowedHosts) -> ChannelOptions:
    _check_none(secret)
    return ChannelOptions({})


def _check_none(secret: str | None) -> None:
    if secret is not None:
        raise InvalidArgumentError("secret: this kind of channel has none", remedy="Leave it out.")


def _url(fields: JsonFields, allowed: AllowedHosts) -> str:
    url = fields.http_address("url", most=MAX_URL_CHARACTERS)
    check_url(url, allowed)
    return url


def _origin(url: str) -> str:
    scheme, host, port, _ = place_of(url)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/"


def _hidden(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


def _check_authority(pem: str, fields: JsonFields) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError) as error:
        raise fields.refused("ca", "certificates in PEM", "something else") from error


_READERS: Final[Mapping[str, Callable[[JsonFields, str | None, AllowedHosts], ChannelOptions]]] = MappingProxyType(
    {"webhook": _webhook, "e-mail": _email, "syslog": _syslog, "otlp": _otlp, "ocsf-file": _file}
)
KINDS: Final = tuple(_READERS)
