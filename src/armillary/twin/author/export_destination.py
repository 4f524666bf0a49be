# SPDX-License-Identifier: Apache-2.0
"""Reads the ``destination`` of a data export, by kind.

| kind | options |
|---|---|
| ``webhook`` | ``url`` |
| ``file`` | ``rotate_bytes``, ``keep_files`` |
| ``mqtt`` | ``host``, ``port``, ``tls``, ``topic``, ``username`` |
| ``s3`` | ``endpoint``, ``bucket``, ``prefix``, ``region``, ``access_key`` |
| ``kafka`` | ``servers``, ``topic``, ``tls``, ``ca``, ``sasl``, ``username`` |

``signed`` of each kind but ``file``: whether a secret is stored beside the document.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from armillary.twin.rule.action import MAX_URL_CHARACTERS
from armillary.wire.encoding.json_fields import MAX_NAME_CHARACTERS, JsonFields

# Bytes of one file before the next is begun, and files that are kept.
MIN_ROTATE_BYTES: Final = 1 << 12
MAX_ROTATE_BYTES: Final = 1 << 30
MAX_FILES: Final = 10_000
MAX_TOPIC_CHARACTERS: Final = 256
MAX_PATH_CHARACTERS: Final = 256
# Bootstrap servers; the cluster names the others.
MAX_SERVERS: Final = 16
# PEM of a few certificates.
MAX_CA_CHARACTERS: Final = 64 * 1024
# Of Kafka itself: longer ones are refused by every broker.
MAX_KAFKA_TOPIC_CHARACTERS: Final = 249
# What the client can prove itself with (RFC 4616, RFC 5802, RFC 7677).
SASL_MECHANISMS: Final = ("none", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")

_HOST_AND_PORT: Final = re.compile(
    r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\]):(?P<port>[0-9]{1,5})"
)


class DestinationKind(StrEnum):
    """Kind of destination."""

    WEBHOOK = "webhook"
    FILE = "file"
    MQTT = "mqtt"
    S3 = "s3"
    KAFKA = "kafka"


@dataclass(frozen=True, slots=True)
class Destination:
    """A destination; ``options`` are the checked fields of its kind, without secrets."""

    kind: DestinationKind
    options: Mapping[str, Any]


def parse_destination(fields: JsonFields) -> Destination:
    """The member ``destination`` of an export's body; raises InvalidArgumentError with the field."""
    inner = fields.inner("destination")
    if inner is None:
        raise fields.refused("destination", "an object", None)
    kind = DestinationKind(inner.choice("kind", tuple(DestinationKind)))
    kinds = {
        DestinationKind.WEBHOOK: _webhook,
        DestinationKind.FILE: _file,
        DestinationKind.MQTT: _mqtt,
        DestinationKind.S3: _s3,
        DestinationKind.KAFKA: _kafka,
    }
    options = kinds[kind](inner)
    inner.finish()
    return Destination(kind, options)


def _webhook(fields: JsonFields) -> dict[str, Any]:
    url = fields.http_address("url", most=MAX_URL_CHARACTERS)
    return {"url": url, "signed": fields.boolean("signed", default=False)}


def _file(fields: JsonFields) -> dict[str, Any]:
    return {
        "rotate_bytes": fields.integer("rotate_bytes", MIN_ROTATE_BYTES, MAX_ROTATE_BYTES, default=64 << 20),
        "keep_files": fields.optional_integer("keep_files", 1, MAX_FILES),
    }


def _mqtt(fields: JsonFields) -> dict[str, Any]:
    host = fields.text("host", most=253)
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9.:-]*[A-Za-z0-9])?", host):
        raise fields.refused("host", "a host name or address", host)
    topic = fields.text("topic", most=MAX_TOPIC_CHARACTERS)
    if set(topic) & set("+#"):
        raise fields.refused("topic", "a topic without + and #", topic)
    return {
        "host": host.lower(),
        "port": fields.integer("port", 1, 65535, default=8883),
        "tls": fields.boolean("tls", default=True),
        "topic": topic,
        "username": fields.text("username", most=MAX_NAME_CHARACTERS, default=""),
        "signed": fields.boolean("signed", default=False),  # the secret is the password
    }


def _s3(fields: JsonFields) -> dict[str, Any]:
    endpoint = fields.text("endpoint", most=MAX_URL_CHARACTERS)
    if not re.fullmatch(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?", endpoint):
        raise fields.refused("endpoint", "an http or https address without a path", endpoint)
    bucket, prefix = fields.text("bucket", most=63), fields.text("prefix", most=MAX_PATH_CHARACTERS, default="")
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", bucket):
        raise fields.refused("bucket", "the name of a bucket", bucket)
    if any(part in ("", ".", "..") for part in prefix.split("/")) and prefix:
        raise fields.refused("prefix", "parts with slashes between", prefix)
    region = fields.text("region", most=64, default="us-east-1")
    if not re.fullmatch(r"[a-z0-9-]+", region):
        raise fields.refused("region", "a region", region)
    access_key = fields.text("access_key", most=128)
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", access_key):
        raise fields.refused("access_key", "an access key's id", access_key)
    return {
        "endpoint": endpoint.lower(),
        "bucket": bucket,
        "prefix": prefix,
        "region": region,
        "access_key": access_key,
        "signed": fields.boolean("signed", default=False),  # the secret is the access key's
    }


def _kafka(fields: JsonFields) -> dict[str, Any]:
    topic = fields.text("topic", most=MAX_KAFKA_TOPIC_CHARACTERS)
    if not re.fullmatch(r"[A-Za-z0-9._-]+", topic) or topic in (".", ".."):
        raise fields.refused("topic", "letters, digits, dots, underscores and hyphens", topic)
    options = {
        "servers": _servers(fields),
        "topic": topic,
        "tls": fields.boolean("tls", default=True),
        "ca": _authorities(fields),
        "sasl": fields.choice("sasl", SASL_MECHANISMS, "none"),
        "username": fields.text("username", most=MAX_NAME_CHARACTERS, default=""),
        "signed": fields.boolean("signed", default=False),  # the secret is the password
    }
    proves = options["sasl"] != "none"
    if proves != bool(options["username"]):
        raise fields.refused("username", "one with sasl, and none without", options["username"])
    if proves != options["signed"]:
        raise fields.refused("secret", "one with sasl, and none without", "one" if options["signed"] else None)
    if options["sasl"] == "PLAIN" and not options["tls"]:
        raise fields.refused("sasl", "tls with PLAIN, which sends the password as it is", "no tls")
    if options["ca"] is not None and not options["tls"]:
        raise fields.refused("ca", "none without tls", options["ca"])
    return options


def _authorities(fields: JsonFields) -> str | None:
    given = fields.take("ca", None)
    if given is None:
        return None
    if (
        not isinstance(given, str)
        or len(given) > MAX_CA_CHARACTERS
        or not given.isascii()
        or "-----BEGIN CERTIFICATE-----" not in given
    ):
        raise fields.refused("ca", f"certificates as PEM text of at most {MAX_CA_CHARACTERS} characters", given)
    return given


def _servers(fields: JsonFields) -> list[str]:
    given = fields.take("servers", None)
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_SERVERS:
        raise fields.refused("servers", f"a list of 1 to {MAX_SERVERS} HOST:PORT", given)
    return [_server(fields, each) for each in given]


def _server(fields: JsonFields, given: object) -> str:
    found = _HOST_AND_PORT.fullmatch(given) if isinstance(given, str) else None
    if found is None or not 1 <= int(found["port"]) <= 65535:
        raise fields.refused("servers", "HOST:PORT each, an IPv6 address in brackets", given)
    return f"{found['host'].lower()}:{int(found['port'])}"
