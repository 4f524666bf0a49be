# SPDX-License-Identifier: Apache-2.0
"""IoT Plug and Play, whole: the real client's public samples, the published models, and what the hub makes of both.

Where AZURE_IOT_SAMPLES_DIR names the samples and ARMILLARY_VECTORS_DIR the published models; ``azure_sdk.py`` says more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.api.running_service import RunningService, fresh, wait_until
from tests.conformance.azure_sdk import Sdk, hub, sas_connection, sdk
from tests.conformance.foreign_vectors import VECTORS, needs
from tests.conformance.test_azure_iot_device import thermostat

__all__ = ["hub", "sdk"]

MODELS = VECTORS / "dtdl" / "models"
pytestmark = needs(MODELS)

CONTROLLER = (
    "com/example/temperaturecontroller-2",
    "com/example/thermostat-2",
    "com/example/thermostat-1",
    "azure/devicemanagement/deviceinformation-1",
)
THERMOSTAT = ("com/example/thermostat-1",)


def publish(hub: RunningService, name: str, files: tuple[str, ...]) -> None:
    documents = [{"name": each, "content": (MODELS / f"{each}.json").read_text("utf-8-sig")} for each in files]
    for call, body in (("import", {"documents": documents}), ("publish", None)):
        made = hub.call("POST", f"/api/v1/templates/{name}/{call}", body)
        assert made.status == 200, made.body


def seen(hub: RunningService, device: str) -> dict[str, Any]:
    return dict(hub.call("GET", f"/api/v1/devices/{device}/template").body)


def states(hub: RunningService, device: str) -> dict[str, tuple[str, Any]]:
    return {each["name"]: (each["state"], each["reported"]) for each in seen(hub, device)["properties"]}


def test_a_sample_with_components_gets_its_template_and_everything_it_says_is_modelled(
    sdk: Sdk, hub: RunningService, tmp_path: Path
) -> None:
    publish(hub, "controller", CONTROLLER)
    device = fresh("controller")
    own = {"IOTHUB_DEVICE_CONNECTION_STRING": sas_connection(hub, device)["connection_string"]}
    own["IOTHUB_DEVICE_SECURITY_TYPE"] = "connectionString"
    running = sdk.start_sample(hub, tmp_path, "pnp/temp_controller_with_thermostats.py", **own)
    wait_until(
        lambda: {"thermostat1.temperature", "thermostat2.temperature", "workingSet"} <= names(hub, device), "values", 60
    )
    found = seen(hub, device)
    assert (found["template"], found["version"], found["by"]) == ("controller", 1, "device")
    assert found["announced_model"] == "dtmi:com:example:TemperatureController;2"
    assert found["unmodelled_telemetry"] == []
    assert [each for each in found["telemetry"] if each["fault"]] == []
    wait_until(lambda: states(hub, device)["deviceInformation.manufacturer"][0] == "reported", "device information", 30)
    assert seen(hub, device)["unmarked_components"] == []
    wanted = hub.call("PATCH", f"/api/v1/devices/{device}/properties", {"thermostat1.targetTemperature": 23.0})
    assert wanted.status == 200, wanted.body
    wait_until(lambda: states(hub, device)["thermostat1.targetTemperature"] == ("accepted", 23.0), "acknowledged", 30)
    assert seen(hub, device)["unmodelled_properties"] == {}
    running.finish("q")


def test_a_sample_that_provisions_itself_gets_the_template_of_the_model_it_names(
    sdk: Sdk, hub: RunningService, tmp_path: Path
) -> None:
    publish(hub, "thermostat", THERMOSTAT)
    device = fresh("thermostat")
    running, _ = thermostat(sdk, hub, device, tmp_path)
    wait_until(lambda: "temperature" in names(hub, device), "values", 60)
    found = seen(hub, device)
    assert (found["template"], found["by"], found["unmodelled_telemetry"]) == ("thermostat", "device", [])
    running.finish("q")


def names(hub: RunningService, device: str) -> set[str]:
    """Names of what a device sent that its template has; none while it is not there yet."""
    found = hub.call("GET", f"/api/v1/devices/{device}/template")
    return {each["name"] for each in found.body["telemetry"]} if found.status == 200 else set()
