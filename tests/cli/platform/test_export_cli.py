# SPDX-License-Identifier: Apache-2.0
"""``armillary export``: made, shown, switched, dead letters, deleted."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

from tests.api.running_service import RunningService
from tests.cli.conftest import Command


def test_exports_from_the_command_line(armillary: Command, service: RunningService, tmp_path: Path) -> None:
    name = f"x-{uuid.uuid4().hex[:8]}"
    made = armillary(
        "export", "create", "--name", name, "--files", "--source", "alerts", "--where", "device:health=attested",
        "--add", "site=cloud:site", "--names", "--from-beginning", "--json",
    )  # fmt: skip
    found = made.json
    assert found["body"]["enrichments"] == {"site": "cloud:site"}
    assert found["body"]["names"] is True
    assert found["status"]["state"] == "running"
    assert name in armillary("export", "list").out
    assert "alerts" in armillary("export", "show", "-e", name).out
    assert armillary("export", "disable", "-e", name).code == 0
    assert armillary("export", "show", "-e", name, "--json").json["status"]["state"] == "disabled"
    assert armillary("export", "enable", "-e", name).code == 0
    assert "Nothing was refused" in armillary("export", "dead-letters", "-e", name).err
    assert "0 records delivered" in armillary("export", "replay", "-e", name).err
    assert "deleted" in armillary("export", "delete", "-e", name, "--yes").err
    hook = ("--webhook", "https://example.com/in")
    assert armillary("export", "create", "--name", name, *hook, "--secret", "x" * 20, "--json").code == 0
    assert armillary("export", "delete", "-e", name, "--yes").code == 0
    broker = armillary(
        "export", "create", "--name", name, "--mqtt", "example.com:1884/a/b", "--username", "u", "--json"
    )
    assert broker.json["body"]["destination"]["port"] == 1884
    storage = ("--s3", "https://s3.example.com/lake/raw/x", "--access-key", "AK", "--secret", "x" * 20)
    found = armillary("export", "create", "--name", name, *storage, "--replace", "--json").json["body"]["destination"]
    assert (found["endpoint"], found["bucket"], found["prefix"]) == ("https://s3.example.com", "lake", "raw/x")
    assert "x" * 20 not in json.dumps(found)
    assert armillary("export", "create", "--name", name, *storage[:2]).code == 2
    ca = tmp_path / "ca.pem"
    ca.write_text("-----BEGIN CERTIFICATE-----")
    kafka = ("--kafka", "k1.example.com:9093,k2.example.com:9093/t", "--server-ca", str(ca))
    user = ("--sasl", "SCRAM-SHA-256", "--username", "u", "--secret", "x" * 20)
    found = armillary("export", "create", "--name", name, *kafka, *user, "--replace", "--json").json["body"][
        "destination"
    ]
    assert (found["servers"], found["topic"]) == (["k1.example.com:9093", "k2.example.com:9093"], "t")
    assert (found["sasl"], found["signed"], "secret" in found) == ("SCRAM-SHA-256", True, False)
    for wrong in (
        [],
        [*hook, "--files"],
        [*kafka, *hook],
        ["--kafka", "k:1"],
        ["--mqtt", "example.com"],
        [*hook, "--add", "x"],
    ):
        assert armillary("export", "create", "--name", name, *wrong).code == 2, wrong
    assert "request.invalid" in armillary("export", "create", "--name", name, *hook, "--transform", "env").err
