# SPDX-License-Identifier: Apache-2.0
"""``armillary rule``: made, tried on past values, traced, its alerts acknowledged, its dead letters replayed."""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.api.native.platform.test_native_rules import DAY_MS, number_of, say
from tests.api.running_service import RunningService, wait_until
from tests.cli.conftest import Command

from armillary.cli.platform.rule import condition_of
from armillary.engines.series.restoring import Restored


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Flow > 40", ("telemetry", "Flow", ">", 40)),
        ("air.co2>=612.5", ("telemetry", "air.co2", ">=", 612.5)),
        ("state = open", ("telemetry", "state", "==", "open")),
        ("fall==true", ("telemetry", "fall", "==", True)),
        ("reported.mode != auto", ("property", "reported.mode", "!=", "auto")),
    ],
)
def test_a_condition_as_people_write_it(text: str, wanted: tuple[Any, ...]) -> None:
    kind, name, sign, value = wanted
    assert condition_of(text) == {kind: name, "op": sign, "value": value}


@pytest.mark.parametrize("text", ["", "Flow", "> 40", "Flow >"])
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        condition_of(text)


def test_rules_from_the_command_line(
    armillary: Command,
    service: RunningService,
    catalog: str,
    device: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    series, now = service.hub.series, service.platform.rules.now_ms()
    point = Restored(number_of(service, device), "t", now - DAY_MS, 45.0)
    series.commits.submit(series.restoring.points([point], now)).result()

    # From a file, tried before it is kept.
    hook = {"kind": "webhook", "url": "https://nowhere.invalid/", "name": "hook"}
    body = {"name": f"Hot {catalog}", "conditions": [{"telemetry": "t", "op": ">", "value": 30}], "actions": [hook]}
    file = tmp_path / "rule.json"
    file.write_text(json.dumps(body))
    tried = armillary("rule", "test", "--file", str(file), "--last", "7d", "-c", catalog, "--trace")
    assert tried.code == 0, tried.err
    assert "t 45 was above 30" in tried.out
    assert "1 firings in 1 evaluations on 1 devices" in tried.err
    made = armillary("rule", "create", "--file", str(file), "-c", catalog, "--json")
    rule = made.json["id"]
    assert rule == f"hot-{catalog.lower()}"
    assert "t above 30" in armillary("rule", "list", "-c", catalog).out
    assert "webhook" in armillary("rule", "show", "-r", rule).out

    # It fires; why is said; somebody takes notice.
    wait_until(lambda: service.platform.rules.loaded.get(rule), "the rule is taken up")
    say(service, device, {"t": 31})
    wait_until(lambda: "active" in armillary("alert", "list", "-c", catalog).out, "an alert")
    traced = armillary("rule", "trace", "-r", rule, "-d", device)
    assert "t is 31, > 30: met" not in traced.out
    assert " was above 30" in traced.out
    number = str(armillary("alert", "list", "-c", catalog, "--json").json[0]["number"])
    shown = armillary("alert", "show", "--alert", number)
    assert "t 31 was above 30" in shown.out
    assert "hook (webhook)" in shown.out
    # With another catalog chosen neither is there; what is printed is for people.
    with monkeypatch.context() as chosen:
        chosen.setenv("ARMILLARY_CATALOG", f"Other-{catalog}")
        service.service.registry.catalogs.create(f"Other-{catalog}", actor="test")
        for verb in ("show", "acknowledge"):
            assert armillary("alert", verb, "--alert", number).code == 1, verb
        assert "No such alert" in armillary("alert", "list", "--status", "all").err
    taken = armillary("alert", "acknowledge", "--alert", number)
    assert re.search(r"acknowledged:? +by ", taken.out)
    for printed in (shown.out, taken.out):
        assert "_ms" not in printed
        assert "{" not in printed
        assert device[:8] in printed
    assert "No such alert" in armillary("alert", "list", "-c", catalog).err

    # What was given up is tried again.
    store = service.platform.rules.store()
    store.commits.submit(lambda c: c.execute("UPDATE delivery SET state = 'dead' WHERE state = 'waiting'")).result()
    assert "hook" in armillary("rule", "dead-letters", "-c", catalog).out
    assert "1 of 1 are tried again" in armillary("rule", "replay", "-c", catalog, "--yes").err

    assert '"enabled": false' in armillary("rule", "disable", "-r", rule, "--json").out
    assert "disabled" in armillary("rule", "trace", "-r", rule, "-d", device).err
    assert "yes" in armillary("rule", "enable", "-r", rule).out
    assert armillary("rule", "delete", "-r", rule, "--yes").code == 0
    assert armillary("rule", "show", "-r", rule).code == 1


def test_a_rule_from_options_and_a_misspelt_name(armillary: Command, service: RunningService) -> None:
    name = f"Quiet {uuid.uuid4().hex[:8]}"
    misspelt = f"flwo{uuid.uuid4().hex[:8]}"
    made = armillary(
        "rule", "create", "-n", name, "-w", f"{misspelt} > 40", "--severity", "low", "--email", "desk@example.com"
    )
    assert made.code == 0, made.err
    assert f"telemetry {misspelt}: no device has sent such a value yet" in made.err
    assert "low" in made.out
    refused = armillary("rule", "create", "-n", name, "--silent", "10m")
    assert (refused.code, "already: nothing was changed" in refused.err) == (1, True)
    silent = armillary("rule", "create", "-n", name, "--silent", "10m", "--replace", "--json")
    assert silent.json["body"]["conditions"] == [{"silent_s": 600}]
    assert silent.json["version"] == 2
    assert armillary("rule", "delete", "-r", silent.json["id"], "--yes").code == 0
    refused = armillary("rule", "create", "-n", name, "--severity", "loud", "-w", "t > 1")
    assert refused.code == 1
    assert "severity: expected one of" in refused.err
    assert armillary("rule", "create").code == 2
