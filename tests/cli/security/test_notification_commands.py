# SPDX-License-Identifier: Apache-2.0
"""Channels and exports of findings on the command line: from nothing to a receiver that was told."""

from __future__ import annotations

import csv
import io
import json
import uuid
from pathlib import Path

import pytest
from tests.api.running_service import RunningService, own_service, wait_until
from tests.cli.conftest import Command
from tests.service.notifications.receivers import receiver
from tests.wire.notification import test_ocsf

from armillary.engines.outbound import webhook
from armillary.service.watch.detections import Observation

SECRET = "0123456789abcdef0123456789abcdef"
service = own_service(scope="module", webhook_hosts="127.0.0.1")


def see(service: RunningService, catalog: str, title: str, **values: str) -> None:
    catalog_id = service.service.registry.catalogs.get(catalog).catalog_id
    seen = Observation(
        kind=values.get("kind", "hub-anomaly"), key=(title,), severity="high", title=title, cause="c",
        proposed_action="p", catalog_id=catalog_id,
    )  # fmt: skip
    service.service.watch.observe(seen)
    service.service.notifications.wake()


def test_a_channel_from_its_making_to_its_end(armillary: Command, service: RunningService, tmp_path: Path) -> None:
    catalog = service.make_catalog(f"C-{uuid.uuid4().hex[:10]}")
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    of = ("-n", "Desk", "-c", catalog)
    with receiver() as hook:
        made = armillary(
            "notification-channel", "create", *of, "--kind", "webhook", "--url", hook.url, "--secret-file", str(secret),
            "--min-severity", "high", "--json",
        )  # fmt: skip
        origin = f"http://127.0.0.1:{hook.port}/"
        assert made.json["options"] == {"url": origin, "format": "cloudevents", "signed": True}
        assert armillary("notification-channel", "test", *of, "--json").json["said"] == "answered 204"
        see(service, catalog, "Odd \x1b[31m")
        wait_until(lambda: len(hook.got) == 2, "the finding")
        _, headers, body = hook.got[1]
        webhook.verify(SECRET, body, headers["Armillary-Signature"], int(service.service.context.clock()))
        hook.answers = [404]
        see(service, catalog, "Lost \x1b[31m")
        shown = wait_until(
            lambda: (found := armillary("notification-channel", "show", *of)).out.count("answered 404") and found,
            "the event to be given up",
        )
        listed = armillary("notification-channel", "list", "-c", catalog)
        assert all("\x1b" not in each.out + each.err for each in (shown, listed))
        assert "Lost" in shown.out
        for each in (
            made,
            shown,
            listed,
            armillary("audit", "list", "--json"),
            armillary("notification-channel", "show", *of, "--json"),
        ):
            assert SECRET not in each.out + each.err
            assert "hidden-in-the-address" not in each.out + each.err
        assert armillary("notification-channel", "retry", *of).err == "sent again: 1\n"
        wait_until(lambda: len(hook.got) == 4, "the event again")
        hook.answer = 403
        failed = armillary("notification-channel", "test", *of, "--json")
        assert (failed.code, json.loads(failed.out)["said"]) == (1, "answered 403")
    assert armillary("notification-channel", "delete", *of, "--yes").code == 0
    assert armillary("notification-channel", "list", "-c", catalog, "--json").json == []
    assert "there is no channel" in armillary("notification-channel", "test", *of).err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--kind", "webhook"), "options.url"),
        (("--kind", "webhook", "--url", "http://example.com/"), "not allowed"),
        (("--kind", "webhook", "--url", "https://169.254.169.254/"), "not allowed"),
        (("--kind", "e-mail", "--to", "no address"), "options.to"),
        (("--kind", "e-mail", "--to", "a@example.com", "--url", "https://x.example/"), "no other fields"),
        (("--kind", "syslog", "--host", "10.0.0.1", "--port", "514", "--transport", "udp"), "udp to 10.0.0.1:514"),
        (("--kind", "e-mail", "--to", "a@example.com", "--topic", "weather"), "topics"),
        (("--kind", "e-mail", "--to", "a@example.com", "--finding-kind", "weather"), "finding_kinds"),
    ],
)
def test_what_cannot_be_is_one_error_and_makes_no_channel(
    armillary: Command, service: RunningService, options: tuple[str, ...], words: str
) -> None:
    found = armillary("notification-channel", "create", "-n", "x", *options)
    assert (found.code, found.out) == (1, "")
    assert words in found.err
    assert found.err.count("hint:") == 1
    assert armillary("notification-channel", "list", "--json").json == []


def test_findings_are_exported_in_three_forms(armillary: Command, service: RunningService, tmp_path: Path) -> None:
    catalog = service.make_catalog(f"C-{uuid.uuid4().hex[:10]}")
    see(service, catalog, "=cmd()")
    see(service, catalog, "Held", kind="rollout-held")
    file = tmp_path / "findings.jsonl"
    told = armillary("finding", "export", "-c", catalog, "--output-file", str(file))
    assert (told.code, told.out, told.err) == (0, "", "2 findings\n")
    events = [json.loads(line) for line in file.read_text().splitlines()]
    for each in events:
        test_ocsf.check(each)
    assert [each["class_name"] for each in events] == ["Incident Finding", "Detection Finding"]
    lines = armillary("finding", "export", "-c", catalog, "--format", "json").out.splitlines()
    assert [json.loads(line)["title"] for line in lines] == ["Held", "=cmd()"]
    rows = list(csv.DictReader(io.StringIO(armillary("finding", "export", "-c", catalog, "--format", "csv").out)))
    assert [row["title"] for row in rows] == ["Held", "'=cmd()"]
    nowhere = armillary("finding", "export", "--output-file", str(tmp_path / "no" / "f"))
    assert (nowhere.code, list(tmp_path.iterdir())) == (1, [file])


def test_what_a_channel_is_told_is_changed_and_one_command_says_who_is_told(
    armillary: Command, service: RunningService
) -> None:
    catalog = service.make_catalog(f"C-{uuid.uuid4().hex[:10]}")
    of = ("-n", "Desk", "-c", catalog)
    made = armillary("notification-channel", "create", *of, "--kind", "e-mail", "--to", "a@example.com")
    assert made.code == 0, made.err
    changed = armillary(
        "notification-channel", "change", *of, "--topic", "finding", "--finding-kind", "clock", "--json"
    ).json
    assert (changed["topics"], changed["finding_kinds"], changed["min_severity"]) == (["finding"], ["clock"], "info")
    changed = armillary(
        "notification-channel", "change", *of, "--finding-kind", "all", "--min-severity", "high", "--json"
    )
    assert (changed.json["topics"], changed.json["finding_kinds"], changed.json["min_severity"]) == (
        ["finding"],
        [],
        "high",
    )
    empty = armillary("notification-channel", "change", *of)
    assert (empty.code, "nothing to change" in empty.err) == (1, True)

    shown = armillary("notification-channel", "overview", "-c", catalog)
    assert shown.code == 0, shown.err
    lines = [line.split() for line in shown.out.splitlines()]
    assert lines[0][:4] == ["mail", "server", "not", "set:"]
    assert ["finding", "high", "Desk", "of", catalog] in lines
    assert ["finding", "low", "nobody"] in lines
    assert ["alert", "nobody"] in lines
    assert armillary("notification-channel", "delete", *of, "--yes").code == 0
