# SPDX-License-Identifier: Apache-2.0
"""Events as they are kept, what collectors answer, and options of channels: any bytes are read, or are one error.

Whatever is an event has a form for each kind of channel.
"""

from __future__ import annotations

import contextlib
import json

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from tests.service.notifications.test_channels import GOOD
from tests.wire.notification.events import CATALOG, event

from armillary.engines.outbound.webhook import AllowedHosts
from armillary.errors import InvalidArgumentError, WireError
from armillary.service.notifications.options import KINDS, read_options
from armillary.wire.notification import event as notification, otlp_logs, syslog

HOSTS = AllowedHosts.parse("public")


def seeds() -> list[bytes]:
    answer = ExportLogsServiceResponse()
    answer.partial_success.rejected_log_records = 3
    return [
        *(notification.encode(event(kind)).encode() for kind in ("finding.opened", "action.done", "channel.test")),
        json_format.MessageToJson(answer).encode(),
        *(json.dumps(options).encode() for options in GOOD.values()),
    ]


def fuzz(data: bytes) -> None:
    with contextlib.suppress(WireError):
        otlp_logs.rejected_of(data)
    text = data.decode("utf-8", "surrogateescape")
    with contextlib.suppress(ValueError, RecursionError):
        given = json.loads(text)
        for kind in KINDS:
            with contextlib.suppress(InvalidArgumentError):
                read_options(kind, given, None, HOSTS)
    with contextlib.suppress(WireError):
        told = notification.decode(text)
        syslog.message(told, host="h", facility=1, sequence=1, catalog=CATALOG[1])
        otlp_logs.request([otlp_logs.Record(told, 1, CATALOG[1])], host="h", version="1")
