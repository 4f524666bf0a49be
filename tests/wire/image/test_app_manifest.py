# SPDX-License-Identifier: Apache-2.0
"""App manifests: every key, every refusal with Azure Sphere's error code where it has one."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from tests.fixtures import images

from armillary.errors import ManifestError
from armillary.wire.image import app_manifest
from armillary.wire.image.app_manifest import CAPABILITY_KEYS, AppManifest, Capabilities

COMPONENT = "2f074b0f-d99d-4692-82d9-ef93a7d6463c"
CATALOG = "592b46b7-5552-4c58-9163-9185f46b96aa"


def document(**changes: Any) -> dict[str, Any]:
    full = images.manifest("AzureSphereBlinkTest", COMPONENT) | changes
    return {key: value for key, value in full.items() if value is not ...}


def capabilities(**values: Any) -> dict[str, Any]:
    return document(Capabilities=values)


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


EVERYTHING: dict[str, tuple[Any, Any]] = {
    "AllowedConnections": (
        ["Example.COM", "10.0.0.1", "2001:DB8::0:1", "_svc._tcp.local"],
        ("example.com", "10.0.0.1", "2001:db8::1", "_svc._tcp.local"),
    ),
    "AllowedTcpServerPorts": ([80, 65535], (80, 65535)),
    "AllowedUdpServerPorts": ([1], (1,)),
    "AllowedApplicationConnections": ([CATALOG.upper()], (UUID(CATALOG),)),
    "Gpio": ([8, 0], (8, 0)),
    "Uart": (["ISU0"], ("ISU0",)),
    "I2cMaster": (["ISU1"], ("ISU1",)),
    "SpiMaster": (["ISU2"], ("ISU2",)),
    "Pwm": (["PWM-CONTROLLER-0"], ("PWM-CONTROLLER-0",)),
    "Adc": (["ADC-CONTROLLER-0"], ("ADC-CONTROLLER-0",)),
    "I2sSubordinate": (["I2S0"], ("I2S0",)),
    "MutableStorage": ({"SizeKB": 64}, 64),
    "PowerControls": (["ForceReboot", "SetPowerProfile"], ("ForceReboot", "SetPowerProfile")),
    "DeviceAuthentication": (CATALOG, UUID(CATALOG)),
} | {key: (True, True) for key, entry in CAPABILITY_KEYS.items() if entry[1].__name__ == "boolean"}


def test_the_table_of_this_test_has_every_capability():
    assert set(EVERYTHING) == set(CAPABILITY_KEYS)
    assert len(EVERYTHING) == 28


def test_every_capability_is_read_and_written():
    manifest = app_manifest.parse(encoded(capabilities(**{key: value for key, (value, _) in EVERYTHING.items()})))
    for key, (_, expected) in EVERYTHING.items():
        assert getattr(manifest.capabilities, CAPABILITY_KEYS[key][0]) == expected, key
    assert app_manifest.parse(app_manifest.encode(manifest)) == manifest


def test_nothing_is_granted_that_is_not_asked_for():
    assert app_manifest.parse(document()).capabilities == Capabilities()


def test_whole_manifest():
    manifest = app_manifest.parse(
        document(
            CmdArgs=["--hub", ""],
            ApplicationType="RealTimeCapable",
            MallocVersion=2,
            TargetApplicationRuntimeVersion=12,
            TargetBetaApis="Future",
        )
    )
    assert manifest == AppManifest(
        name="AzureSphereBlinkTest",
        component_id=UUID(COMPONENT),
        entry_point="/bin/app",
        cmd_args=("--hub", ""),
        application_type="RealTimeCapable",
        malloc_version=2,
        target_application_runtime_version=12,
        target_beta_apis="Future",
    )
    assert app_manifest.parse(app_manifest.encode(manifest)) == manifest


def test_written_form_is_the_packers():
    manifest = app_manifest.parse(capabilities(Gpio=[8]))
    assert app_manifest.encode(manifest) == (
        b'{"SchemaVersion":1,"Name":"AzureSphereBlinkTest","ComponentId":"2f074b0f-d99d-4692-82d9-ef93a7d6463c",'
        b'"EntryPoint":"/bin/app","CmdArgs":[],"Capabilities":{"Gpio":[8]},"ApplicationType":"Default"}'
    )


def test_names_only_in_a_source_manifest():
    source = capabilities(Gpio=["$LED", 8], Uart=["$HEADER_UART"])
    found = app_manifest.parse(source, resolved=False).capabilities
    assert (found.gpio, found.uart) == (("$LED", 8), ("$HEADER_UART",))
    with pytest.raises(ManifestError, match="resolved with a hardware definition") as caught:
        app_manifest.parse(source)
    assert caught.value.path == "Capabilities.Gpio[0]"
    assert caught.value.error_id == 2097162


def test_storage_limit_is_the_chips():
    assert (
        app_manifest.parse(
            capabilities(MutableStorage={"SizeKB": 65}), mutable_storage_limit_kb=65
        ).capabilities.mutable_storage_kb
        == 65
    )
    with pytest.raises(ManifestError, match="at most 64 KiB") as caught:
        app_manifest.parse(capabilities(MutableStorage={"SizeKB": 65}))
    assert caught.value.error_id == 2097186


def test_byte_order_mark_is_ignored():
    assert app_manifest.parse(b"\xef\xbb\xbf" + encoded(document())) == app_manifest.parse(document())


REFUSED_HOSTS: dict[str, Any] = {
    "wildcard host": "*.example.com",
    "any host": "*",
    "host with port": "a.com:80",
    "host with scheme": "http://a.com",
    "host with path": "a.com/x",
    "network instead of host": "10.0.0.0/8",
    "empty host": "",
    "host with trailing dot": "a.com.",
    "host of dots": "a..b",
    "short IPv4 spelling": "10.1",
    "hexadecimal IPv4": "0x7f000001",
    "decimal IPv4": "2130706433",
    "host not ASCII": "bücher.de",
    "Kelvin sign for k": "\u212a.com",
    "IPv6 with an interface": "fe80::1%eth0; drop",
    "label of 64": "a" * 64,
    "name of 254": "a." * 126 + "aa",
    "hyphen first": "-a.com",
    "host is a number": 1,
}

# (what to parse, path of the error, id within Azure Sphere's category 2 or None)
REFUSED: dict[str, tuple[Any, str, int | None]] = {
    "not JSON": (b"{", "app_manifest.json", 1),
    "empty": (b"", "app_manifest.json", 1),
    "array": (b"[]", "app_manifest.json", 1),
    "not UTF-8": (b"\xff\xfe{}", "app_manifest.json", 1),
    "NaN": (encoded(document()).replace(b"1", b"NaN", 1), "app_manifest.json", 1),
    "duplicate key": (encoded(document())[:-1] + b',"Name":"other"}', "app_manifest.json", 1),
    "duplicate capability": (b'{"Capabilities":{"Gpio":[1],"Gpio":[2]}}', "app_manifest.json", 1),
    "deep nesting": (b"[" * 60000, "app_manifest.json", 1),
    "number of 5000 digits": (b'{"SchemaVersion":' + b"1" * 5000 + b"}", "app_manifest.json", 1),
    "too large": (b" " * (64 * 1024 + 1), "app_manifest.json", 1),
    "lone surrogate": (encoded(document()).replace(b"AzureSphereBlinkTest", b"\\ud800"), "app_manifest.json", 1),
    "unknown key": (document(Debug=True), "app_manifest.json", None),
    "key in another case": (document(name="x"), "app_manifest.json", None),
    "no schema version": (document(SchemaVersion=...), "SchemaVersion", 4),
    "schema version 2": (document(SchemaVersion=2), "SchemaVersion", 17),
    "schema version as text": (document(SchemaVersion="1"), "SchemaVersion", 17),
    "schema version true": (document(SchemaVersion=True), "SchemaVersion", 17),
    "schema version 1.0": (document(SchemaVersion=1.0), "SchemaVersion", 17),
    "no name": (document(Name=...), "Name", None),
    "empty name": (document(Name=""), "Name", None),
    "name with a line break": (document(Name="a\nb"), "Name", None),
    "name too long": (document(Name="a" * 129), "Name", None),
    "no component": (document(ComponentId=...), "ComponentId", None),
    "component not a GUID": (document(ComponentId="2f074b0fd99d469282d9ef93a7d6463c"), "ComponentId", None),
    "component in braces": (document(ComponentId="{" + COMPONENT + "}"), "ComponentId", None),
    "no entry point": (document(EntryPoint=...), "EntryPoint", 3),
    "relative entry point": (document(EntryPoint="bin/app"), "EntryPoint", 16),
    "entry point outside": (document(EntryPoint="/../bin/sh"), "EntryPoint", 16),
    "entry point with empty part": (document(EntryPoint="//bin/app"), "EntryPoint", 16),
    "entry point is the root": (document(EntryPoint="/"), "EntryPoint", 16),
    "entry point with a space": (document(EntryPoint="/bin/app x"), "EntryPoint", 16),
    "entry point is a number": (document(EntryPoint=1), "EntryPoint", 16),
    "arguments as text": (document(CmdArgs="-x"), "CmdArgs", 5),
    "argument is a number": (document(CmdArgs=[1]), "CmdArgs[0]", 5),
    "argument with NUL": (document(CmdArgs=["a\0b"]), "CmdArgs[0]", 5),
    "too many arguments": (document(CmdArgs=["x"] * 65), "CmdArgs", 5),
    "no capabilities": (document(Capabilities=...), "Capabilities", 6),
    "capabilities as an array": (document(Capabilities=[]), "Capabilities", 6),
    "unknown capability": (capabilities(Wlan=True), "Capabilities", None),
    "unknown type": (document(ApplicationType="Service"), "ApplicationType", 26),
    "type is a number": (document(ApplicationType=1), "ApplicationType", 27),
    "malloc version 3": (document(MallocVersion=3), "MallocVersion", 59),
    "runtime version 0": (document(TargetApplicationRuntimeVersion=0), "TargetApplicationRuntimeVersion", None),
    "connections as text": (capabilities(AllowedConnections="a"), "Capabilities.AllowedConnections", 9),
    **{
        name: (capabilities(AllowedConnections=[host]), "Capabilities.AllowedConnections[0]", 9)
        for name, host in REFUSED_HOSTS.items()
    },
    "host twice in two cases": (
        capabilities(AllowedConnections=["a.com", "A.com"]),
        "Capabilities.AllowedConnections[1]",
        9,
    ),
    "too many hosts": (
        capabilities(AllowedConnections=[f"h{n}.com" for n in range(65)]),
        "Capabilities.AllowedConnections",
        9,
    ),
    "TCP ports as a number": (capabilities(AllowedTcpServerPorts=80), "Capabilities.AllowedTcpServerPorts", 36),
    "TCP port as text": (capabilities(AllowedTcpServerPorts=["80"]), "Capabilities.AllowedTcpServerPorts[0]", 36),
    "TCP port true": (capabilities(AllowedTcpServerPorts=[True]), "Capabilities.AllowedTcpServerPorts[0]", 36),
    "TCP port 0": (capabilities(AllowedTcpServerPorts=[0]), "Capabilities.AllowedTcpServerPorts[0]", 38),
    "TCP port 65536": (capabilities(AllowedTcpServerPorts=[65536]), "Capabilities.AllowedTcpServerPorts[0]", 38),
    "TCP port twice": (capabilities(AllowedTcpServerPorts=[80, 80]), "Capabilities.AllowedTcpServerPorts[1]", 36),
    "UDP port as text": (capabilities(AllowedUdpServerPorts=["1"]), "Capabilities.AllowedUdpServerPorts[0]", 37),
    "UDP port -1": (capabilities(AllowedUdpServerPorts=[-1]), "Capabilities.AllowedUdpServerPorts[0]", 39),
    "partner not a GUID": (
        capabilities(AllowedApplicationConnections=["x"]),
        "Capabilities.AllowedApplicationConnections[0]",
        43,
    ),
    "pin as text": (capabilities(Gpio=["8"]), "Capabilities.Gpio[0]", 10),
    "pin -1": (capabilities(Gpio=[-1]), "Capabilities.Gpio[0]", 10),
    "pin 1024": (capabilities(Gpio=[1024]), "Capabilities.Gpio[0]", 10),
    "pin 1.5": (capabilities(Gpio=[1.5]), "Capabilities.Gpio[0]", 10),
    "pin twice": (capabilities(Gpio=[8, 8]), "Capabilities.Gpio[1]", 35),
    "UART by number": (capabilities(Uart=[0]), "Capabilities.Uart[0]", 13),
    "UART path": (capabilities(Uart=["/dev/ttyS0"]), "Capabilities.Uart[0]", 13),
    "ISU for two": (capabilities(Uart=["ISU0"], SpiMaster=["ISU0"]), "Capabilities.SpiMaster", 35),
    "storage as a number": (capabilities(MutableStorage=8), "Capabilities.MutableStorage", 31),
    "storage without size": (capabilities(MutableStorage={}), "Capabilities.MutableStorage.SizeKB", 32),
    "storage size as text": (capabilities(MutableStorage={"SizeKB": "8"}), "Capabilities.MutableStorage.SizeKB", 33),
    "storage size 0": (capabilities(MutableStorage={"SizeKB": 0}), "Capabilities.MutableStorage.SizeKB", 33),
    "storage with more keys": (capabilities(MutableStorage={"SizeKB": 8, "x": 1}), "Capabilities.MutableStorage", None),
    "power as text": (capabilities(PowerControls="ForceReboot"), "Capabilities.PowerControls", 48),
    "power twice": (capabilities(PowerControls=["ForceReboot", "ForceReboot"]), "Capabilities.PowerControls[1]", 48),
    "power empty": (capabilities(PowerControls=[]), "Capabilities.PowerControls", 49),
    "power unknown": (capabilities(PowerControls=["Halt"]), "Capabilities.PowerControls[0]", 50),
    "power is an object": (capabilities(PowerControls=[{}]), "Capabilities.PowerControls[0]", 50),
    "catalog not a GUID": (capabilities(DeviceAuthentication="x"), "Capabilities.DeviceAuthentication", 24),
    "catalog true": (capabilities(DeviceAuthentication=True), "Capabilities.DeviceAuthentication", 24),
    "catalog too long": (capabilities(DeviceAuthentication=CATALOG + "0"), "Capabilities.DeviceAuthentication", 29),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_place_and_error_code(name: str):
    value, path, error_id = REFUSED[name]
    with pytest.raises(ManifestError) as caught:
        app_manifest.parse(value, resolved=False)
    assert caught.value.path == path
    assert caught.value.error_id == (None if error_id is None else 2 << 20 | error_id)
    assert caught.value.remedy


# In the order of the keys in Azure Sphere's documentation.
BOOLEAN_IDS = {
    "CertStore": 44,
    "WifiConfig": 15,
    "EnterpriseWifiConfig": 45,
    "NetworkConfig": 11,
    "ReadNetworkProxyConfig": 56,
    "SystemTime": 30,
    "TimeSyncConfig": 40,
    "SystemEventNotifications": 46,
    "SoftwareUpdateDeferral": 47,
    "DhcpService": 41,
    "SntpService": 42,
    "HardwareAddressConfig": 51,
    "ResetMemoryWatermarks": 57,
    "HeapMemStats": 58,
}


@pytest.mark.parametrize(("key", "error_id"), BOOLEAN_IDS.items())
@pytest.mark.parametrize("value", ["true", 1, None, []])
def test_booleans_are_true_or_false(key: str, error_id: int, value: object):
    with pytest.raises(ManifestError) as caught:
        app_manifest.parse(capabilities(**{key: value}))
    assert caught.value.error_id == 2 << 20 | error_id


def test_errors_show_no_raw_control_characters():
    with pytest.raises(ManifestError) as caught:
        app_manifest.parse(document(Name="\x1b[2J"))
    assert "\x1b" not in str(caught.value)


def test_a_port_in_quotes_is_shown_in_quotes() -> None:
    made = json.dumps(images.manifest("tap", Capabilities={"AllowedTcpServerPorts": ["80"]})).encode()
    with pytest.raises(ManifestError, match="expected a port number, got '80'"):
        app_manifest.parse(made, mutable_storage_limit_kb=64)
