# SPDX-License-Identifier: Apache-2.0
"""``armillary authority``, from the command line to the records and back."""

from __future__ import annotations

import time
from pathlib import Path

from cryptography import x509
from tests.api.running_service import RunningService, own_service
from tests.cli.conftest import Command

service = own_service()  # other tests count authorities


def test_authorities_are_listed_renewed_and_their_roots_written(
    armillary: Command, service: RunningService, tmp_path: Path
) -> None:
    listed = armillary("authority", "list")
    assert listed.code == 0
    assert listed.out.splitlines()[0].split() == ["kind", "state", "not_before", "not_after", "subject", "serial"]
    before = armillary("authority", "list", "--json").json
    second = int(time.time())
    while int(time.time()) == second:  # authorities are in the order of the seconds they were made in
        time.sleep(0.02)
    made = armillary("authority", "renew", "root", "--yes", "--json").json
    assert made["kind"] == "root"
    after = armillary("authority", "list", "--json").json
    assert [one["serial"] for one in after if one not in before] == [made["serial"]]
    written = armillary("authority", "roots", "--output-file", str(tmp_path / "roots.pem"))
    assert (written.code, written.err) == (0, f"2 roots written to {tmp_path / 'roots.pem'}\n")
    roots = x509.load_pem_x509_certificates((tmp_path / "roots.pem").read_bytes())
    assert f"{roots[-1].serial_number:034X}" == made["serial"]
    assert (tmp_path / "roots.pem").read_bytes() == service.root.read_bytes()
    shown = armillary("authority", "renew", "silicon", "--maker", "MediaTek", "--yes")
    assert shown.out.splitlines()[1].split() == ["kind", "silicon"]


def test_a_renewal_asks_first_and_says_what_is_wrong(armillary: Command) -> None:
    asked = armillary("authority", "renew", "policy", stdin="n\n")
    assert asked.code == 1
    assert "Renew the policy authority now?" in asked.err
    assert armillary("authority", "renew", "server", "--yes").code == 2
    assert "--maker" in armillary("authority", "renew", "root", "--maker", "MediaTek", "--yes").err
    assert "no chip maker" in armillary("authority", "renew", "silicon", "--maker", "Nobody", "--yes").err
