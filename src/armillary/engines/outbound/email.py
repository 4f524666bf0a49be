# SPDX-License-Identifier: Apache-2.0
"""E-mails, handed to one SMTP server (RFC 5321) over TLS. Blocks: called in a thread."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from armillary.engines.outbound.deadline import cut_after
from armillary.errors import HostError, InvalidArgumentError

if TYPE_CHECKING:
    import smtplib
    import ssl

# The server answers each step within this time, and all of them within the other (seconds).
TIMEOUT_S: Final = 15.0
WHOLE_S: Final = 60.0

SECURITIES: Final = ("starttls", "tls", "none")


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where e-mails go."""

    host: str = ""  # Of the server; "" when there is none: e-mail actions wait until there is
    port: int = 587  # Of it
    security: str = "starttls"  # ``starttls``, ``tls`` (from the first byte) or ``none``
    user: str = ""  # To log in as; "" without
    password: str = field(default="", repr=False)  # Of the user
    sender: str = ""  # Address that e-mails are from
    ca_file: str = ""  # PEM file that the server's certificate is checked with; "" for the system's

    def __post_init__(self) -> None:
        if self.security not in SECURITIES:
            raise InvalidArgumentError(
                f"smtp_security: expected one of {', '.join(SECURITIES)}, got {self.security!r:.20}",
                remedy="Use starttls, which most servers offer at port 587.",
            )
        if self.host and not self.sender:
            raise InvalidArgumentError("smtp_from: expected an address beside smtp_host", remedy="Set it.")
        if self.user and self.security == "none":
            raise InvalidArgumentError(
                "smtp_user: a password is not sent without TLS", remedy="Use starttls or tls for smtp_security."
            )


class RefusedError(Exception):
    """The server will never take this e-mail: trying again changes nothing."""


def send(server: MailServer, message_id: str, to: list[str], subject: str, text: str) -> str:
    """Hand over an e-mail; what the server said of addresses that it refused while it took others.

    Raises:
        HostError: no server is set.
        RefusedError: refused for good.
        OSError, smtplib.SMTPException: not now.
    """
    if not server.host:
        raise HostError("no mail server is set", remedy="Set smtp_host and smtp_from.")
    import smtplib  # noqa: PLC0415 - only with e-mails
    import ssl  # noqa: PLC0415
    from email.message import EmailMessage  # noqa: PLC0415
    from email.utils import formatdate  # noqa: PLC0415

    message = EmailMessage()
    message["From"] = server.sender
    message["To"] = ", ".join(to)
    message["Subject"] = " ".join(subject.split())
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{message_id}@{server.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence note answers it
    message.set_content(text)
    context = ssl.create_default_context(cafile=server.ca_file or None)
    opened: list[smtplib.SMTP] = []
    try:
        with (
            cut_after(WHOLE_S, lambda: opened[0].sock if opened else None),
            _connected(server, context, opened) as client,
        ):
            if server.security == "starttls":
                client.starttls(context=context)
            if server.user:
                client.login(server.user, server.password)
            refused = client.send_message(message)
    except smtplib.SMTPRecipientsRefused as error:
        if all(code >= 500 for code, _ in error.recipients.values()):
            raise RefusedError(f"every address was refused: {_said(error.recipients)}") from error
        raise
    except smtplib.SMTPAuthenticationError:
        raise  # the password may be put right
    except smtplib.SMTPResponseException as error:
        if error.smtp_code >= 500:
            raise RefusedError(f"the server answered {error.smtp_code}") from error
        raise
    return f"refused by the server: {_said(refused)}" if refused else ""


def _connected(server: MailServer, context: ssl.SSLContext, opened: list[smtplib.SMTP]) -> smtplib.SMTP:
    """A connection to the server that has greeted; it is in ``opened`` before that, so that it can be cut off."""
    import smtplib  # noqa: PLC0415 - only with e-mails

    class Plain(smtplib.SMTP):
        def connect(self, *given: Any, **named: Any) -> Any:
            opened.append(self)
            return super().connect(*given, **named)

    class Tls(smtplib.SMTP_SSL):
        def connect(self, *given: Any, **named: Any) -> Any:
            opened.append(self)
            return super().connect(*given, **named)

    if server.security == "tls":
        return Tls(server.host, server.port, context=context, timeout=TIMEOUT_S)
    return Plain(server.host, server.port, timeout=TIMEOUT_S)


def _said(recipients: dict[str, tuple[int, bytes]]) -> str:
    return ", ".join(f"{address} ({code})" for address, (code, _) in sorted(recipients.items()))[:200]
