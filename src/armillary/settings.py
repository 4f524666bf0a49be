# SPDX-License-Identifier: Apache-2.0
"""The settings of the service process.

Order, later wins: defaults, ``--config FILE`` (TOML), ``ARMILLARY_<NAME>`` variables, command-line options. Unknown
keys are refused: a misspelt setting must not silently do nothing. ``docs/generate.py`` makes the page
``docs/reference/settings.md`` of the attributes of :class:`Settings`.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from armillary.errors import InvalidArgumentError

ENVIRONMENT_PREFIX = "ARMILLARY_"
# Each worker takes 50 MB, and all of them wait for one disk.
MAX_DEVICE_WORKERS = 64
BILL_POLICIES = ("off", "warned", "required")
DATA_REGIONS = ("", "eu")
LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one ``armillary up`` process runs with.

    Attributes:
        data: Folder that holds the databases, images and keys of this service.
        host: Address to listen on; loopback unless configured.
        public_host: Name or address written into certificates and given to devices.
        console_address: Address at which people open the console, ``https://HOST`` or ``https://HOST:PORT``, where a
            proxy stands before it; empty for ``public_host`` and ``api_port``. A sign-in provider leads back there.
        api_port: Operator API and console (https). 0 picks a free port.
        device_port: Device endpoint (TLS 1.3, client certificate required). 0 picks a free port.
        hub_port: The hub: MQTT, WebSocket and HTTPS, over TLS. 0 picks a free port.
        websocket_port: A second port of the hub, for devices and services that can reach 443 only (WebSocket, HTTPS): a
            port, 0 for a free one, ``off`` for none. Both are spoken on ``hub_port`` as well.
        broker_port: General MQTT broker over TLS for clients that talk to each other: a port, 0 for a free one, ``off``
            for none.
        bridge_port: Port for devices that speak hawkBit's DDI (https, client certificate optional): a port, 0 for a
            free one, ``off`` for none; the DDI is spoken on ``api_port`` as well, there without client certificates.
        device_workers: Processes that serve the device endpoint: a number, ``auto`` for one a core, 0 for none beside
            the service's own.
        check_in_interval_s: Seconds between two check-ins that the service asks devices for, where their group says
            nothing else. Devices with errors to report come at once.
        check_in_jitter: Fraction of the interval by which each next time is varied (0 to 1).
        check_now_connections: How many devices may keep a connection open by which they are told to check in at once,
            in each process that serves devices; about 50 KiB each, 0 for none.
        planner_interval_s: Seconds between two runs of the roll-out planner when nothing wakes it.
        certificate_lifetime_s: Life of a device's client certificate, seconds.
        values_retention_days: How long the hub keeps values over time, days, where no rule of retention says otherwise.
        rollups_retention_days: How long the hub keeps minutes and hours of values, days; never less than values.
        messages_retention_days: How long the hub keeps messages as they came, days.
        disk_reserve_mb: The hub takes no messages when less than this is free on its disk, MiB; 0 for no reserve.
        delta_cache_mb: Disk for deltas between versions of artifacts, which are made when devices ask for them, MiB; 0
            for none: then devices fetch whole artifacts.
        series_database: PostgreSQL database of the hub's series, ``postgresql://user@host/name``; empty for a file in
            the data folder. A password is better kept in a file (PGPASSFILE, ``~/.pgpass``) than here.
        bill_of_materials: What a release or an image without a software bill of materials is worth: ``off`` for as
            much as with one, ``warned`` for a line in the audit log, ``required`` for not being published or deployed.
        data_region: ``eu`` for a service whose data are all kept in the European Union; empty: not said. Device groups
            with that data boundary keep crash dumps on no other.
        log_level: ``debug``, ``info``, ``warning`` or ``error``.
        key_passphrase: Passphrase of the private keys' files, 12 characters at least. A file is better: other
            processes of this user can see a process's environment.
        key_passphrase_file: File that holds it instead, readable by its owner only. With neither, one is made beside
            the data folder.
        webhook_hosts: Where webhooks of rules and notification channels may go, commas between: ``public`` for https to
            every public address, host names and ``host:port`` pairs for those, whatever their address, also over http.
        smtp_host: Mail server that e-mails of rules and notification channels are handed to; empty for none.
        smtp_port: Its port.
        smtp_security: ``starttls``, ``tls`` from the first byte, or ``none``.
        smtp_user: User to log in as; empty for none.
        smtp_password_file: File that holds the user's password, readable by its owner only.
        smtp_from: Address that e-mails are from.
        smtp_ca_file: PEM file that the mail server's certificate is checked with; empty for the system's authorities.
        oidc_issuer: Provider that people sign in to the console with (OpenID Connect): its issuer, an https address,
            exactly as the provider writes it; empty for none. It may be inside the network.
        oidc_client_id: What this service is called at the provider.
        oidc_client_secret_file: File with the client's secret, readable by its owner only; empty for a public client.
        oidc_scopes: What the provider is asked for, spaces between; ``openid`` is among them.
        oidc_name_claim: Claim that says what a person is called.
        oidc_email_claim: Claim that says a person's address; it counts where ``email_verified`` is true.
        oidc_groups_claim: Claim that lists a person's groups.
        oidc_grants: What members of groups may do, commas between: ``GROUP=ROLE``, ``GROUP=ROLE@CATALOG``,
            ``GROUP=ROLE@CATALOG/ORGANISATION``. People whom it grants something need no invitation. Empty: everybody is
            invited first.
        oidc_label: What the provider is called on the sign-in page; empty for its host.
        oidc_ca_file: PEM file that the provider's certificate is checked with; empty for the system's authorities.
        pkcs11_module: PKCS #11 module (a shared library) of a token that keeps the keys of root, policy and catalogs.
        pkcs11_token: Label of that token.
        pkcs11_pin_file: File with its user PIN, readable by its owner only.
    """

    data: Path = Path("armillary-data")
    host: str = "127.0.0.1"
    public_host: str = "localhost"
    console_address: str = ""
    api_port: int = 8443
    device_port: int = 8444
    hub_port: int = 8883
    websocket_port: str = "off"
    broker_port: str = "off"
    bridge_port: str = "off"
    device_workers: str = "0"
    check_in_interval_s: int = 20 * 3600
    check_in_jitter: float = 0.1
    check_now_connections: int = 1000
    planner_interval_s: float = 5.0
    certificate_lifetime_s: int = 24 * 3600
    values_retention_days: int = 365
    rollups_retention_days: int = 1825
    messages_retention_days: int = 7
    disk_reserve_mb: int = 256
    delta_cache_mb: int = 1024
    series_database: str = dataclasses.field(default="", repr=False)
    bill_of_materials: str = "off"
    data_region: str = ""
    log_level: str = "info"
    key_passphrase: str = dataclasses.field(default="", repr=False)
    key_passphrase_file: str = ""
    webhook_hosts: str = "public"
    smtp_host: str = ""
    smtp_port: int = 587
    smtp_security: str = "starttls"
    smtp_user: str = ""
    smtp_password_file: str = ""
    smtp_from: str = ""
    smtp_ca_file: str = ""
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret_file: str = ""
    oidc_scopes: str = "openid profile email"
    oidc_name_claim: str = "name"
    oidc_email_claim: str = "email"
    oidc_groups_claim: str = "groups"
    oidc_grants: str = ""
    oidc_label: str = ""
    oidc_ca_file: str = ""
    pkcs11_module: str = ""
    pkcs11_token: str = ""
    pkcs11_pin_file: str = ""

    def __post_init__(self) -> None:
        for name in ("api_port", "device_port", "hub_port", "smtp_port"):
            port = getattr(self, name)
            if not 0 <= port <= 65535:
                raise InvalidArgumentError(f"{name}: expected 0 to 65535, got {port}", remedy="Choose a valid port.")
        if self.check_in_interval_s < 1 or self.planner_interval_s <= 0:
            raise InvalidArgumentError(
                "check_in_interval_s and planner_interval_s: expected a positive time in seconds",
                remedy="Set them to at least 1 and more than 0.",
            )
        if min(self.values_retention_days, self.rollups_retention_days, self.messages_retention_days) < 1:
            raise InvalidArgumentError(
                "values_retention_days, rollups_retention_days and messages_retention_days: expected at least 1 day",
                remedy="Set them to 1 or more.",
            )
        _check_word("bill_of_materials", self.bill_of_materials, BILL_POLICIES)
        for name in ("disk_reserve_mb", "delta_cache_mb", "check_now_connections"):
            _check_not_negative(name, getattr(self, name))
        if not 0 <= self.check_in_jitter <= 1:
            raise InvalidArgumentError(
                f"check_in_jitter: expected 0 to 1, got {self.check_in_jitter}", remedy="Use a fraction such as 0.1."
            )
        if self.device_workers != "auto" and not (
            self.device_workers.isdecimal() and int(self.device_workers) <= MAX_DEVICE_WORKERS
        ):
            raise InvalidArgumentError(
                f"device_workers: expected 0 to {MAX_DEVICE_WORKERS} or auto, got {self.device_workers!r:.40}",
                remedy="Use auto for one a core, or 0 to serve devices in the service's own process.",
            )
        for name in ("websocket_port", "broker_port", "bridge_port"):
            _check_port_or_off(name, getattr(self, name))
        _check_database(self.series_database)
        _check_console_address(self.console_address)
        _check_provider(self)
        _check_word("data_region", self.data_region, DATA_REGIONS)
        _check_word("log_level", self.log_level, LOG_LEVELS)

    @property
    def device_worker_count(self) -> int:
        """Processes that serve the device endpoint; 0 for the service's own."""
        if self.device_workers == "auto":
            return min(MAX_DEVICE_WORKERS, len(os.sched_getaffinity(0)))
        return int(self.device_workers)


def _check_word(name: str, value: str, words: tuple[str, ...]) -> None:
    if value not in words:
        raise InvalidArgumentError(f"{name}: expected {', '.join(words)}, got {value!r:.40}", remedy="Use one of them.")


def _check_database(url: str) -> None:
    if url and not url.startswith(("postgresql://", "postgres://")):
        raise InvalidArgumentError(  # without its text, which may contain a password
            "series_database: expected a URL as postgresql://user@host/name",
            remedy="Correct it, or leave it empty for a file in the data folder.",
        )


def _check_console_address(address: str) -> None:
    parts = urlsplit(address)
    if address and (parts.scheme != "https" or not parts.hostname or address != f"https://{parts.netloc}"):
        raise InvalidArgumentError(
            f"console_address: expected https://HOST or https://HOST:PORT, got {address!r:.100}",
            remedy="Write the address as browsers show it, without a path and without a slash at its end.",
        )


def _check_provider(settings: Settings) -> None:
    issuer = settings.oidc_issuer
    if not issuer:
        return
    parts = urlsplit(issuer)
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment or not issuer.isascii():
        raise InvalidArgumentError(
            f"oidc_issuer: expected an https address without a query, got {issuer!r:.100}",
            remedy="Write it as the provider does: it is in its /.well-known/openid-configuration.",
        )
    if not settings.oidc_client_id or "openid" not in settings.oidc_scopes.split():
        raise InvalidArgumentError(
            "oidc_client_id and oidc_scopes: expected the client's id, and openid among the scopes",
            remedy="Set what this service is called at the provider; leave oidc_scopes as it is, or add openid.",
        )


def _check_not_negative(name: str, value: int) -> None:
    if value < 0:
        raise InvalidArgumentError(f"{name}: expected 0 or more, got {value}", remedy="Use 0 for none.")


def _check_port_or_off(name: str, text: str) -> None:
    if text != "off" and not (text.isdecimal() and int(text) <= 65535):
        raise InvalidArgumentError(
            f"{name}: expected 0 to 65535 or off, got {text!r:.40}", remedy="Use off for no such port."
        )


def load_settings(
    config: Path | None,
    overrides: Mapping[str, object],
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """The settings of this process.

    ``config`` is a TOML file with keys named as in :class:`Settings`; ``overrides`` are values of the command line, of
    which None is ignored; ``environment`` is the process's own when None. Raises InvalidArgumentError, with the source,
    for an unknown key, a wrong type or a value out of range.
    """
    values: dict[str, object] = {}
    if config is not None:
        values.update(_from_toml(config))
    values.update(_from_environment(os.environ if environment is None else environment))
    values.update({name: value for name, value in overrides.items() if value is not None})
    return Settings(**values)  # type: ignore[arg-type]  # every key and type was checked above


def _fields() -> dict[str, type]:
    defaults = Settings()
    return {field.name: type(getattr(defaults, field.name)) for field in dataclasses.fields(Settings)}


def _from_toml(config: Path) -> dict[str, object]:
    try:
        document = tomllib.loads(config.read_text("utf-8"))
    except OSError as error:
        raise InvalidArgumentError(
            f"{config}: cannot be read ({error.strerror})", remedy="Check the path given with --config."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidArgumentError(f"{config}: not TOML ({error})", remedy="Correct the file.") from error
    return {name: _convert(name, value, str(config)) for name, value in document.items()}


def _from_environment(environment: Mapping[str, str]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name in _fields():
        variable = ENVIRONMENT_PREFIX + name.upper()
        if variable in environment:
            found[name] = _convert(name, environment[variable], variable)
    return found


def _convert(name: str, value: object, source: str) -> object:
    kind = _fields().get(name)
    if kind is None:
        raise InvalidArgumentError(
            f"{source}: unknown setting {name!r}", remedy=f"Known settings: {', '.join(sorted(_fields()))}."
        )
    if issubclass(kind, Path) and value == "":  # Python would take it for the folder that one is in
        raise InvalidArgumentError(
            f"{source}: {name}: expected a folder, got an empty text",
            remedy="Name it; . is the folder that you are in.",
        )
    try:
        if isinstance(value, bool) or (kind is int and isinstance(value, float)):
            raise TypeError  # noqa: TRY301 - Python would take true for 1 and round what a person wrote
        converted: object = kind(value)
    except (TypeError, ValueError) as error:
        raise InvalidArgumentError(
            f"{source}: {name}: expected {kind.__name__}, got {value!r}", remedy="Correct the value."
        ) from error
    return converted
