# SPDX-License-Identifier: Apache-2.0
"""``app_manifest.json``: what an application is and which capabilities it asks for.

A JSON object (RFC 8259, UTF-8). Keys, all case-sensitive; a key that is not listed is refused::

    SchemaVersion                    int      1, required
    Name                             string   required; the image package stores its first 31 bytes
    ComponentId                      string   GUID, required
    EntryPoint                       string   absolute path in the image, required
    CmdArgs                          string[]
    Capabilities                     object   required; see CAPABILITY_KEYS
    ApplicationType                  string   "Default" | "RealTimeCapable"
    MallocVersion                    int      1 | 2
    TargetApplicationRuntimeVersion  int      added by the packer, equals the package's ABI Depends version
    TargetBetaApis                   string   name of a beta API set

Peripherals may be written as ``$NAME`` before packing; ``wire/image/hardware_definition.py`` resolves them. A packed
manifest holds values only, so :func:`parse` refuses names unless told that it reads a source manifest.

Stricter than Azure Sphere on purpose: duplicate JSON keys, unknown keys, wildcards in host names and host names
that some resolvers read as numbers are refused, because each could grant something that nobody meant to grant.

Source: the public manifests and error tables of Azure/azure-sphere-samples (25.02) and Azure/azure-sphere-tools
(ParseDeviceLog 24.06, ``app_manifest_error.yml``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from armillary.errors import ManifestError
from armillary.wire.image import manifest_field as field

SCHEMA_VERSION = 1
APPLICATION_TYPES = ("Default", "RealTimeCapable")
POWER_CONTROLS = ("ForcePowerDown", "ForceReboot", "SetPowerProfile")

# Azure Sphere's manifests are below 2 KiB; 64 KiB leaves room for long host lists and bounds the JSON parser.
MANIFEST_LIMIT_BYTES = 64 * 1024
# A shell line's worth. The device passes the arguments to exec, whose own limit is far above.
CMD_ARG_LIMIT = 64
# The package keeps 31 bytes, people see the whole name in lists: no longer than one line.
NAME_LIMIT_CHARACTERS = 128
# Azure Sphere's limit on the MT3620. A chip profile may allow more and passes its own.
MUTABLE_STORAGE_LIMIT_KB = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What an application asks for. Everything defaults to nothing."""

    allowed_connections: tuple[str, ...] = ()  # host names (lower case) and addresses to dial
    allowed_tcp_server_ports: tuple[int, ...] = ()  # to listen on, 1 to 65535
    allowed_udp_server_ports: tuple[int, ...] = ()  # to bind, 1 to 65535
    allowed_application_connections: tuple[UUID, ...] = ()  # component ids of applications on the device to talk to
    gpio: tuple[int | str, ...] = ()  # pin numbers; ``$NAME`` only in a source manifest, here and in the next six
    uart: tuple[str, ...] = ()  # such as ``ISU0``
    i2c_master: tuple[str, ...] = ()
    spi_master: tuple[str, ...] = ()
    pwm: tuple[str, ...] = ()  # such as ``PWM-CONTROLLER-0``
    adc: tuple[str, ...] = ()  # such as ``ADC-CONTROLLER-0``
    i2s_subordinate: tuple[str, ...] = ()  # such as ``I2S0``
    mutable_storage_kb: int = 0  # storage that survives restarts, KiB; 0 means none
    power_controls: tuple[str, ...] = ()  # some of POWER_CONTROLS
    device_authentication: UUID | None = None  # catalog whose client certificate it may use
    cert_store: bool = False  # may change the certificate store; the booleans below are named as their keys
    wifi_config: bool = False
    enterprise_wifi_config: bool = False
    network_config: bool = False
    read_network_proxy_config: bool = False
    system_time: bool = False
    time_sync_config: bool = False
    system_event_notifications: bool = False
    software_update_deferral: bool = False
    dhcp_service: bool = False
    sntp_service: bool = False
    hardware_address_config: bool = False
    reset_memory_watermarks: bool = False
    heap_mem_stats: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AppManifest:
    """One application."""

    name: str  # shown to people
    component_id: UUID  # the same from build to build
    entry_point: str  # absolute path of the executable in the image
    cmd_args: tuple[str, ...] = ()  # after the executable's name
    application_type: str = "Default"  # ``Default`` (high level) or ``RealTimeCapable``
    capabilities: Capabilities = Capabilities()
    malloc_version: int | None = None  # of the C library's allocator that it was built with
    target_application_runtime_version: int | None = None  # ABI version it needs; None before packing
    target_beta_apis: str | None = None


# JSON key -> (attribute of Capabilities, how the value is read, Azure Sphere's error id for a value that does
# not parse). The ids are app_manifest_error.yml's; 13 is PeripheralParseError.
CAPABILITY_KEYS: Mapping[str, tuple[str, field.Reader, int]] = {
    "AllowedConnections": ("allowed_connections", field.hosts, 9),
    "AllowedTcpServerPorts": ("allowed_tcp_server_ports", field.tcp_ports, 36),
    "AllowedUdpServerPorts": ("allowed_udp_server_ports", field.udp_ports, 37),
    "AllowedApplicationConnections": ("allowed_application_connections", field.component_ids, 43),
    "Gpio": ("gpio", field.gpio, 10),
    "Uart": ("uart", field.peripherals, 13),
    "I2cMaster": ("i2c_master", field.peripherals, 13),
    "SpiMaster": ("spi_master", field.peripherals, 13),
    "Pwm": ("pwm", field.peripherals, 13),
    "Adc": ("adc", field.peripherals, 13),
    "I2sSubordinate": ("i2s_subordinate", field.peripherals, 13),
    "MutableStorage": ("mutable_storage_kb", field.mutable_storage, 31),
    "PowerControls": ("power_controls", field.power_controls(POWER_CONTROLS), 48),
    "DeviceAuthentication": ("device_authentication", field.catalog_id, 24),
    "CertStore": ("cert_store", field.boolean, 44),
    "WifiConfig": ("wifi_config", field.boolean, 15),
    "EnterpriseWifiConfig": ("enterprise_wifi_config", field.boolean, 45),
    "NetworkConfig": ("network_config", field.boolean, 11),
    "ReadNetworkProxyConfig": ("read_network_proxy_config", field.boolean, 56),
    "SystemTime": ("system_time", field.boolean, 30),
    "TimeSyncConfig": ("time_sync_config", field.boolean, 40),
    "SystemEventNotifications": ("system_event_notifications", field.boolean, 46),
    "SoftwareUpdateDeferral": ("software_update_deferral", field.boolean, 47),
    "DhcpService": ("dhcp_service", field.boolean, 41),
    "SntpService": ("sntp_service", field.boolean, 42),
    "HardwareAddressConfig": ("hardware_address_config", field.boolean, 51),
    "ResetMemoryWatermarks": ("reset_memory_watermarks", field.boolean, 57),
    "HeapMemStats": ("heap_mem_stats", field.boolean, 58),
}

# The keys whose values are peripherals, in the order in which errors about shared pins are reported.
PERIPHERAL_KEYS = ("Gpio", "Uart", "I2cMaster", "SpiMaster", "Pwm", "Adc", "I2sSubordinate")
# A UART, I2C or SPI controller of one name is one block of pins (MT3620: ISU0 to ISU4).
SHARED_BLOCK_KEYS = ("Uart", "I2cMaster", "SpiMaster")

_TOP_KEYS = (
    "SchemaVersion",
    "Name",
    "ComponentId",
    "EntryPoint",
    "CmdArgs",
    "Capabilities",
    "ApplicationType",
    "MallocVersion",
    "TargetApplicationRuntimeVersion",
    "TargetBetaApis",
)


def parse(
    data: bytes | Mapping[str, Any], *, resolved: bool = True, mutable_storage_limit_kb: int = MUTABLE_STORAGE_LIMIT_KB
) -> AppManifest:
    """Read a manifest from its bytes or its decoded JSON object.

    ``resolved`` is False to accept ``$NAME`` peripherals, as in a source manifest; the limit is the chip's largest
    ``MutableStorage.SizeKB``, KiB. Raises ManifestError for what is not JSON, an unknown or missing key, and a value of
    the wrong type or out of range; its ``error_id`` is Azure Sphere's device error code where there is one.
    """
    document = (
        decode_json(data, what="app_manifest.json", limit=MANIFEST_LIMIT_BYTES, error_id=1)
        if isinstance(data, bytes)
        else data
    )
    field.known_keys(document, _TOP_KEYS, "app_manifest.json")
    version = field.required(document, "SchemaVersion", 4)
    if field.integer(version, "SchemaVersion", 17, minimum=0, maximum=2**31) != SCHEMA_VERSION:
        raise field.wrong("SchemaVersion", str(SCHEMA_VERSION), version, 17)
    return AppManifest(
        name=field.text(field.required(document, "Name"), "Name", limit=NAME_LIMIT_CHARACTERS),
        component_id=field.guid(field.required(document, "ComponentId"), "ComponentId"),
        entry_point=field.absolute_path(field.required(document, "EntryPoint", 3), "EntryPoint", 16),
        cmd_args=field.arguments(document.get("CmdArgs", []), "CmdArgs", 5, limit=CMD_ARG_LIMIT),
        application_type=_application_type(document.get("ApplicationType", "Default")),
        capabilities=_capabilities(
            field.required(document, "Capabilities", 6), resolved=resolved, storage_limit_kb=mutable_storage_limit_kb
        ),
        malloc_version=field.optional_integer(document, "MallocVersion", 59, minimum=1, maximum=2),
        target_application_runtime_version=field.optional_integer(
            document, "TargetApplicationRuntimeVersion", None, minimum=1, maximum=2**32 - 1
        ),
        target_beta_apis=field.optional_text(document, "TargetBetaApis", limit=NAME_LIMIT_CHARACTERS),
    )


def encode(manifest: AppManifest) -> bytes:
    """Write a manifest as the packer stores it: compact JSON, fixed key order, nothing that is at its default."""
    document: dict[str, Any] = {
        "SchemaVersion": SCHEMA_VERSION,
        "Name": manifest.name,
        "ComponentId": str(manifest.component_id),
        "EntryPoint": manifest.entry_point,
        "CmdArgs": list(manifest.cmd_args),
        "Capabilities": capabilities_document(manifest.capabilities),
        "ApplicationType": manifest.application_type,
    }
    if manifest.malloc_version is not None:
        document["MallocVersion"] = manifest.malloc_version
    if manifest.target_application_runtime_version is not None:
        document["TargetApplicationRuntimeVersion"] = manifest.target_application_runtime_version
    if manifest.target_beta_apis is not None:
        document["TargetBetaApis"] = manifest.target_beta_apis
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def decode_json(data: bytes, *, what: str, limit: int, error_id: int | None = None) -> Mapping[str, Any]:
    """Decode one JSON object strictly: UTF-8, no duplicate keys, no NaN or infinity, no lone surrogates.

    A byte order mark is ignored (RFC 8259 §8.1 allows it, Visual Studio writes it). Raises ManifestError, with Azure
    Sphere's ``error_id`` if it has one, for other documents and for more than ``limit`` bytes.
    """

    def unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        document = dict(pairs)
        if len(document) != len(pairs):
            raise field.wrong(what, "each key once", "a key twice among " + ", ".join(document), error_id)
        return document

    def refuse_constant(name: str) -> Any:
        raise field.wrong(what, "JSON values", name, error_id)

    if len(data) > limit:
        raise field.wrong(what, f"at most {limit} bytes", f"{len(data)} bytes", error_id)
    try:
        document = json.loads(data.decode("utf-8-sig"), object_pairs_hook=unique_pairs, parse_constant=refuse_constant)
        json.dumps(document, ensure_ascii=False).encode("utf-8")  # a lone surrogate cannot be written back
    except (ValueError, RecursionError) as error:
        raise field.wrong(what, "a JSON object in UTF-8", f"not JSON: {error}", error_id) from error
    if not isinstance(document, dict):
        raise field.wrong(what, "a JSON object", document, error_id)
    return document


def _application_type(value: object) -> str:
    if not isinstance(value, str):
        raise field.wrong("ApplicationType", "a string", value, 27)
    if value not in APPLICATION_TYPES:
        raise field.wrong("ApplicationType", " or ".join(APPLICATION_TYPES), value, 26)
    return value


def _capabilities(value: object, *, resolved: bool, storage_limit_kb: int) -> Capabilities:
    if not isinstance(value, Mapping):
        raise field.wrong("Capabilities", "an object", value, 6)
    field.known_keys(value, CAPABILITY_KEYS, "Capabilities")
    context = field.Context(names_allowed=not resolved, storage_limit_kb=storage_limit_kb)
    found: dict[str, Any] = {}
    for key, (attribute, read, error_id) in CAPABILITY_KEYS.items():
        if key in value:
            found[attribute] = read(value[key], f"Capabilities.{key}", error_id, context)
    capabilities = Capabilities(**found)
    _check_shared_blocks(capabilities)
    return capabilities


def _check_shared_blocks(capabilities: Capabilities) -> None:
    taken: dict[str, str] = {}
    for key in SHARED_BLOCK_KEYS:
        for name in getattr(capabilities, CAPABILITY_KEYS[key][0]):
            if name in taken:
                raise ManifestError(
                    f"Capabilities.{key}",
                    expected="peripherals on different pins",
                    got=f"{name}, which {taken[name]} asks for as well",
                    error_id=field.error_code(35),
                )
            taken[name] = f"Capabilities.{key}"


def capabilities_document(capabilities: Capabilities) -> dict[str, Any]:
    """The ``Capabilities`` object of a manifest: JSON values, without what is at its default."""
    defaults = {entry.name: entry.default for entry in fields(Capabilities)}
    document: dict[str, Any] = {}
    for key, (attribute, _, _) in CAPABILITY_KEYS.items():
        value = getattr(capabilities, attribute)
        if value == defaults[attribute]:
            continue
        if key == "MutableStorage":
            document[key] = {"SizeKB": value}
        elif isinstance(value, tuple):
            document[key] = [str(item) if isinstance(item, UUID) else item for item in value]
        else:
            document[key] = str(value) if isinstance(value, UUID) else value
    return document
