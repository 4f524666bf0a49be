# SPDX-License-Identifier: Apache-2.0
"""Every number of a roll-out policy can be given on the command line, and reaches the service."""

from __future__ import annotations

from typing import Any, Self

import pytest
from typer.testing import CliRunner

from armillary.cli.release import rollout
from armillary.cli.terminal import remote
from armillary.rollout.policy import Ring, RolloutPolicy, from_json

DEVICE = "a1" * 64
RELEASE = "66a3e405-1156-4ebf-9210-b76c2a45f079"
GIVEN = {
    "--cohorts": ("1,10,100", "cohorts", (1, 10, 100)),
    "--soak": ("60", "soak_s", 60),
    "--success": ("80", "success_percent", 80),
    "--failures": ("9", "failure_percent", 9),
    "--min-failures": ("3", "min_failures", 3),
    "--timeout": ("120", "timeout_s", 120),
    "--false-holds": ("0", "false_hold_percent", 0),
    "--lease": ("600", "lease_s", 600),
    "--ring": (f"Lab={DEVICE.upper()}", "rings", (Ring(name="Lab", devices=(DEVICE,)),)),
    "--hold-on-severity": ("critical", "hold_on_severity", "critical"),
    "--roll-back-on-hold": (None, "roll_back_on_hold", True),
}


class Service:
    """Stands where a connection to the service would: keeps what was posted."""

    catalog = ""

    def __init__(self) -> None:
        self.path = ""
        self.body: dict[str, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def get(self, path: str, **query: object) -> dict[str, Any]:
        assert path == "/device-names"
        known = {"bench cable": DEVICE, "a1a1": "b2" * 64}
        return {"items": [{"device_id": known[str(query["text"])], "name": ""}]}

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.path, self.body = path, body
        return {**body, "history": [], "cohorts": []}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    made = Service()
    monkeypatch.setattr(remote, "connect", lambda *_, **__: made)
    monkeypatch.setattr(rollout, "catalog_name", lambda _, name: name)
    return made


def _policy(service: Service, *options: str) -> RolloutPolicy:
    where = ("-c", "Contoso", "-p", "Coffee", "-dg", "Production", "-i", "id", "--json")
    ran = CliRunner().invoke(rollout.app, ["create", *where, *options])
    assert ran.exit_code == 0, ran.output
    assert service.path == "/rollouts"
    return from_json(service.body["policy"])


def test_what_is_not_given_keeps_its_default(service: Service) -> None:
    assert _policy(service) == RolloutPolicy()


@pytest.mark.parametrize("option", GIVEN)
def test_an_option_reaches_the_service(option: str, service: Service) -> None:
    text, field, value = GIVEN[option]
    policy = _policy(service, option, *([text] if text is not None else []))
    assert getattr(policy, field) == value
    assert getattr(RolloutPolicy(), field) != value


@pytest.mark.parametrize("option", ["--soak", "--timeout", "--lease"])
def test_times_are_written_as_everywhere_and_plain_seconds_still(option: str, service: Service) -> None:
    field = GIVEN[option][1]
    written = {"90s": 90, "15m": 900, "4h": 14_400, "2d": 172_800, "604800": 604_800}
    if option != "--timeout":
        written["0"] = 0
    for text, seconds in written.items():
        assert getattr(_policy(service, option, text), field) == seconds
    posted = service.body
    for wrong in ("4 hours", "1.5h", "-1s", "h", "", "1h30m", "9" * 12):
        where = ("-c", "Contoso", "-p", "Coffee", "-dg", "Production", "-i", "id", f"{option}={wrong}")
        ran = CliRunner().invoke(rollout.app, ["create", *where])
        assert ran.exit_code == 2
        assert f"{option}: expected a time such as 90s" in " ".join(ran.output.split())
        assert service.body is posted, "nothing was asked of the service"


def test_no_finding_holds_when_the_word_is_none(service: Service) -> None:
    assert _policy(service, "--hold-on-severity", "none").hold_on_severity == ""


def test_an_os_release_takes_the_same_policy(service: Service) -> None:
    given = (
        "--release",
        RELEASE,
        "--os-feed",
        "Retail",
        "-c",
        "Contoso",
        "--cohorts",
        "10,100",
        "--lease",
        "600",
        "--json",
    )
    ran = CliRunner().invoke(rollout.app, ["create-os", *given])
    assert ran.exit_code == 0, ran.output
    assert (service.path, service.body["feed"], service.body["catalog"]) == (
        f"/releases/{RELEASE}/rollout",
        "Retail",
        "Contoso",
    )
    assert from_json(service.body["policy"]) == RolloutPolicy(cohorts=(10, 100), lease_s=600)
    ran = CliRunner().invoke(rollout.app, ["create-os", "--release", RELEASE, "--json"])
    assert service.body == {"feed": "Retail", "catalog": None, "policy": {}}


def test_rings_are_given_one_by_one_and_a_misspelt_one_is_refused(service: Service) -> None:
    other = "b2" * 64
    rings = _policy(service, "--ring", f"Lab={DEVICE},{other}", "--ring", f"Roof={'c3' * 64}").rings
    assert [(ring.name, len(ring.devices)) for ring in rings] == [("Lab", 2), ("Roof", 1)]
    (mixed,) = _policy(service, "--ring", f"Field=Contoso/Kettle/Field Test,{DEVICE}").rings
    assert mixed == Ring(name="Field", devices=(DEVICE,), groups=("Contoso/Kettle/Field Test",))
    (called,) = _policy(service, "--ring", "Lab=bench cable,a1a1").rings
    assert called.devices == (DEVICE, other), "names and first digits, as everywhere"
    for wrong in ("Lab", "Lab=", f"={DEVICE}"):
        where = ("-c", "Contoso", "-p", "Coffee", "-dg", "Production", "-i", "id", "--ring", wrong)
        ran = CliRunner().invoke(rollout.app, ["create", *where])
        assert ran.exit_code != 0
        assert "--ring: expected a name and devices or groups" in str(ran.exception or ran.output)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("create", "-c", "C", "-p", "P", "-dg", "G", "-i", "id", "--cohorts", ""), "--cohorts: expected percentages"),
        (("create", "-c", "C", "-p", "P", "-dg", "G", "-i", "id", "--cohorts", "1,,100"), "--cohorts: expected"),
        (("halt", "--rollout", "6f2", "--reason", "x"), "--rollout: expected the id of a roll-out, got '6f2'"),
        (("approve", "--rollout", ""), "--rollout: expected the id of a roll-out, got ''"),
    ],
)
def test_what_is_empty_or_no_id_is_refused_in_words(service: Service, given: tuple[str, ...], said: str) -> None:
    ran = CliRunner().invoke(rollout.app, list(given))
    assert ran.exit_code != 0
    assert said in str(ran.exception or ran.output)
    assert service.path == "", "nothing was asked of the service"


def test_every_field_of_a_policy_has_an_option() -> None:
    assert {field for _, field, _ in GIVEN.values()} == set(RolloutPolicy.__dataclass_fields__)
