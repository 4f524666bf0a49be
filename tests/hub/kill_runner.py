# SPDX-License-Identifier: Apache-2.0
"""A hub in its own process, to be killed: ``python kill_runner.py FOLDER CERTIFICATE TRUSTED [DATABASE]``; prints its port.

Any certificate of the trusted authority is let in as the device its URI names.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import structlog
import uvloop
from cryptography import x509

from armillary.hub.hub import Hub
from armillary.hub.link.tls import hub_context
from armillary.settings import Settings


def authenticate(certificate_der: bytes) -> str:
    names = x509.load_der_x509_certificate(certificate_der).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    uri: str = names.value.get_values_for_type(x509.UniformResourceIdentifier)[0]
    return uri.rsplit(":", 1)[1]


async def serve(folder: Path, certificate: Path, trusted: Path, database: str = "") -> None:
    hub = Hub(folder, settings=Settings(series_database=database), authenticate=authenticate)
    context = hub_context(certificate, certificate, trusted.read_text())
    print(await hub.start(context, "127.0.0.1", 0), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    uvloop.run(serve(*(Path(each) for each in sys.argv[1:4]), *sys.argv[4:]))
