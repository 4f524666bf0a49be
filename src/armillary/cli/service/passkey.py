# SPDX-License-Identifier: Apache-2.0
"""``armillary passkey``: the way into the console for somebody who has lost passkeys and recovery codes."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from typing import Annotated

import typer

from armillary.cli.terminal.json_option import JsonOption
from armillary.cli.terminal.output import noun, record
from armillary.cli.terminal.readable import readable
from armillary.settings import ENVIRONMENT_PREFIX, Settings

app = noun("Passkeys, which the console asks for after a token: let somebody in who has lost one.")


@app.callback()
def passkey() -> None:
    """Passkeys, which the console asks for after a token: let somebody in who has lost one."""


@app.command("recovery-code")
def make_code(
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Folder of the service's data, on this host.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print a code that stands for a lost passkey, once.

    Run it on the service's host. The code is typed at the console's second step, after the token, within 15 minutes.
    The service need not be stopped. The code that this command printed before is void; codes of an account are not.
    """
    from armillary.identity import recovery_code  # noqa: PLC0415 - what no other command needs
    from armillary.service.people import host_code  # noqa: PLC0415 - as above

    folder = data or Path(os.environ.get(f"{ENVIRONMENT_PREFIX}DATA") or Settings().data)
    code, now = recovery_code.code_of(secrets.token_bytes(recovery_code.CODE_BYTES)), int(time.time())
    host_code.write_host_code(folder, code, now)
    shown = record({"code": code, "expires_at": now + host_code.LIFETIME_S}, row=readable)
    shown.then("sign in with the token, and open: You do not have the passkey?").show(as_json=as_json)
