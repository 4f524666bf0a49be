# SPDX-License-Identifier: Apache-2.0
"""Entry point of the ``armillary`` command: finds the noun, loads only that noun's module, prints errors."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, Final

from armillary import __version__
from armillary.cli.doubled_options import refuse_doubled
from armillary.cli.earlier_options import with_present_names
from armillary.cli.loading import no_search_for_garbage
from armillary.cli.terminal.colour import NO_COLOUR_OPTION, NO_COLOUR_VARIABLE
from armillary.cli.terminal.output import print_error
from armillary.errors import ArmillaryError, HostError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

os.environ.setdefault("TYPER_USE_RICH", "0")  # plain help: readable in a pipe, and 30 ms less on every call

# noun or top-level verb -> (module of this package, one line for the overview). Loaded only when used: importing every
# noun would cost half a second on each call.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo.demo", "Play the main story: boot, attest, certify, update, contain, attack, defend."),
    "up": ("service.up", "Run the whole service in one process."),
    "status": ("service.status", "Show the health of a running service."),
    "login": ("service.login", "Remember a service's address and token."),
    "context": ("service.context", "Context: the service and catalog of commands that name none."),
    "catalog": ("catalog.catalog", "Catalogs: who owns devices."),
    "product": ("catalog.product", "Products of a catalog."),
    "device-group": ("catalog.device_group", "Device groups of a product."),
    "device": ("device.device", "Devices: on this host and in the service."),
    "sim": ("device.sim", "Simulators: cut the power at every write of a device, play attacks on a fleet."),
    "image": ("release.image", "Images of a catalog."),
    "deployment": ("release.deployment", "Deployments of a device group."),
    "authority": ("service.authority", "The service's own authorities: list and renew."),
    "ca-certificate": ("catalog.ca_certificate", "Certificates of a catalog's certificate authority."),
    "rollout": ("release.rollout", "Staged roll-outs: watch, halt, resume, roll back."),
    "finding": ("service.finding", "What the watch has found."),
    "notification-channel": ("security.notification_channel", "Notification channels: who is told of findings."),
    "action": ("security.action", "Actions: quarantine, halt, roll back, deploy a fix; with preview, approval, undo."),
    "playbook": ("security.playbook", "Playbooks: what is done about findings by itself, and what is proposed."),
    "crash": ("security.crash", "Crashes of applications, grouped by bug; symbols that name their places."),
    "crash-dump": ("security.crash_dump", "Crash dumps of native applications: list, show, get, delete."),
    "telemetry": ("hub.telemetry", "Telemetry of the hub: export, import, retention."),
    "feed": ("release.feed", "OS feeds: whose releases a device group gets."),
    "release": ("release.release", "OS releases and their reference values."),
    "attestation-policy": ("service.attestation_policy", "What a catalog demands of its devices beyond a good boot."),
    "advisory": ("security.advisory", "Advisories: what is vulnerable, and which devices it affects."),
    "advisory-feed": ("security.advisory_feed", "Feeds of advisories: pack, trust, import."),
    "assess": ("security.assess", "Say which of the seven properties of secured devices hold."),
    "dossier": ("security.dossier", "Dossiers: signed statements about a fleet, with their evidence."),
    "case": ("security.case", "Cases: what must be reported to authorities, by when, and the drafts."),
    "disclosure": ("security.disclosure", "How strangers report vulnerabilities: security.txt, the page, the times."),
    "vulnerability-report": ("security.vulnerability_report", "Reports of vulnerabilities from outside."),
    "audit": ("service.audit", "The audit log: list, prove and verify; its checkpoints and witnesses."),
    "trace": ("security.trace", "All that is known of a device, key, product or advisory, with what proves it."),
    "token": ("service.token", "Operator tokens."),
    "person": ("service.person", "People who sign in by a provider: invite, grant, disable."),
    "passkey": ("service.passkey", "Passkeys of the console: let somebody in who has lost one."),
    "session": ("service.session", "Sessions of the console: who is signed in; end one."),
    "factory": ("catalog.factory", "Factory runs: many devices at once."),
    "hub-device": ("hub.hub_device", "Hub devices: clients that do not attest."),
    "bridge": ("bridge.bridge", "The bridge: devices that speak hawkBit's DDI."),
    "hub-service-key": ("hub.hub_service_key", "Service keys: for tools that speak IoT Hub's service API."),
    "hub-enrolment": ("hub.hub_enrolment", "Enrolments: which hub devices may register themselves."),
    "enrolment-token": ("catalog.enrolment_token", "Enrolment tokens: let an owner's device enrol itself."),
    "image-package": ("release.image_package", "Pack and show image packages."),
    "hardware-definition": ("release.hardware_definition", "Test and generate hardware definition headers."),
    "chip": ("release.chip", "Chip profiles: what a chip boots and has, and what of it was seen to work."),
    "capability": ("release.capability", "Capabilities: what an application gets of what its manifest asks for."),
    "segment": ("platform.group", "Segments: saved queries over devices, for rules, jobs, dashboards and exports."),
    "dashboard": ("platform.dashboard", "Dashboards: as files, and what their tiles show now."),
    "picture": ("platform.picture", "Pictures for tiles and floor plans of dashboards."),
    "rule": ("platform.rule", "Rules over what devices say: test, trace, actions."),
    "alert": ("platform.alert", "Firings of rules: list, show, acknowledge."),
    "template": ("platform.template", "Device templates; applications from templates."),
    "application": ("platform.application", "The whole application as files: export and import."),
    "export": ("platform.export", "Data exports: telemetry and more to somewhere else, continuously."),
    "organisation": ("platform.organisation", "Organisations: who sees which devices of a catalog."),
    "guardian": ("guardian.guardian", "Guardians: equipment that must never be on a network."),
    "job": ("platform.job", "Jobs over segments: run, watch, cancel, results."),
    "search": ("platform.search", "Find anything by its name, its id, or the beginning of one."),
    "completion": ("completion.completion", "Print what bash, zsh or fish complete commands with."),
    "bench": ("service.bench", "Measure this machine against limits and peers."),
}

# Nouns that also work on this host, whose whole module loads a device or a guardian with its engines: the module with
# those of their verbs that only ask the service.
IN_SERVICE: dict[str, str] = {"device": "device.in_service", "guardian": "guardian.in_service"}

# Verbs with a module of their own: on a host with many devices, or in a play, they are started often.
ON_THEIR_OWN: dict[tuple[str, ...], str] = {
    ("device", "boot"): "device.boot",
    ("device", "create"): "device.create",
    ("device", "app"): "device.attached.application",
    ("device", "certificate"): "device.attached.certificate",
    ("device", "image"): "device.attached.image",
    ("device", "list-attached"): "device.attached.listing",
    ("device", "network"): "device.attached.network",
    ("device", "restart"): "device.attached.restart",
    ("device", "wifi"): "device.attached.wifi",
    ("device", "cellular"): "device.attached.cellular",
    ("image", "attack"): "device_image.attack",
    ("image", "build"): "device_image.build",
    ("image", "fetch"): "device_image.fetch",
    ("image", "flash"): "device_image.flash",
    ("image", "pin"): "device_image.pin",
    ("image", "package"): "device_image.package",
    ("image", "power-cuts"): "device_image.power_cuts",
}

# Commands whose process goes on for months, without the library of the command line where their options are plain: the
# module whose ``plain_options`` reads them and whose ``start`` runs it.
LASTING: dict[tuple[str, ...], str] = {("up",): "service.start", ("device", "boot"): "device.start"}

# What a shell says of a command that SIGTERM or SIGHUP ended: 128 and the signal's number.
ENDED_BY: Final = 128

# What scripts call that people do not write: name -> module, whose ``main`` takes the arguments. Not in the overview.
FOR_SCRIPTS: dict[str, str] = {"completion-names": "completion.names"}

# Earlier names of nouns: scripts that say them go on.
EARLIER: dict[str, str] = {"group": "segment"}


def command_of(name: str) -> Any:
    """The command behind a name of :data:`COMMANDS`; loads its module."""
    return _command(COMMANDS[name][0])


def _command(module: str) -> Any:
    from typer.main import get_command  # noqa: PLC0415 - the service goes on without it (cli/service/start.py)

    from armillary.cli.empty_paths import with_paths_that_are_named  # noqa: PLC0415 - it loads that

    return with_paths_that_are_named(get_command(importlib.import_module(f".{module}", __package__).app))


def needed(name: str, arguments: Sequence[str]) -> Any:
    """The command behind a name with no more than these arguments need: this verb, those of the service, or all."""
    own = ON_THEIR_OWN.get((name, *arguments[:1]))
    if own is not None:
        return _command(own)
    if name in IN_SERVICE and arguments:
        command = _command(IN_SERVICE[name])
        if _has_verb(command, arguments):
            return command
    return command_of(name)


def _has_verb(command: Any, arguments: Sequence[str]) -> bool:
    """Whether the words before the first option lead to a verb: of a noun, there may be more verbs on this host."""
    for word in arguments:
        if not hasattr(command, "commands"):
            break
        if word not in command.commands:
            return False
        command = command.commands[word]
    return not hasattr(command, "commands")


def overview() -> str:
    """The text of ``armillary --help``."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    return (
        "Usage: armillary COMMAND [ARGS]...\n\n"
        "Armillary: the open successor to Azure Sphere.\n\n"
        "Commands:\n" + "\n".join(lines) + "\n\n"
        "Options:\n"
        "  --version   Print the version.\n"
        "  --no-color  Print without colour, as with NO_COLOR; after a command, too.\n"
        "  --help      Show this text; armillary COMMAND --help shows a command's.\n"
    )


def run(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with 0 (done), 1 (failed) or 2 (wrong usage)."""
    try:
        with _printed():
            _run(arguments)
    except ArmillaryError as error:
        print_error(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)  # the reader (head, less) has seen enough
    except OSError as error:
        print_error(_refused(error))
        sys.exit(1)


def _run(arguments: Sequence[str] | None) -> None:
    given = _without_colour(list(sys.argv[1:] if arguments is None else arguments))
    if not given or given[0] in ("--help", "-h", "help"):
        sys.stdout.write(overview())
        sys.exit(0 if given else 2)
    if given[0] == "--version":
        sys.stdout.write(f"armillary {__version__}\n")
        sys.exit(0)
    if given[0] in FOR_SCRIPTS:
        importlib.import_module(f".{FOR_SCRIPTS[given[0]]}", __package__).main(given[1:])
        return
    name, *rest = with_present_names([EARLIER.get(given[0], given[0]), *given[1:]])
    if name not in COMMANDS:
        from difflib import get_close_matches  # noqa: PLC0415 - for this message only

        close = get_close_matches(name, COMMANDS, n=1)
        sys.stderr.write(f"error: there is no command {name!r} [request.invalid]\n\n")
        sys.stderr.write(f"hint: {f'Did you mean {close[0]}? ' if close else ''}armillary --help lists them.\n")
        sys.exit(2)
    if arguments is None:
        _end_in_order()
    if not _started((name, *rest)):
        with no_search_for_garbage() if arguments is None else contextlib.nullcontext():
            command = needed(name, rest)
        refuse_doubled(command, rest)
        command(args=rest, prog_name=f"armillary {name}")


@contextlib.contextmanager
def _printed() -> Iterator[None]:
    """Have all that a command prints written before it ends; HostError if the operating system does not take it."""
    try:
        yield
    finally:
        if sys.stdout is not None and not sys.stdout.closed:
            try:
                sys.stdout.flush()
            except OSError as error:
                with contextlib.suppress(OSError):
                    sys.stdout.close()  # Python itself would try once more, and mention it in its own words
                if isinstance(error, BrokenPipeError):
                    raise
                raise _refused(error, "standard output") from error


def _refused(error: OSError, what: str = "this host refuses to go on") -> HostError:
    """The last net under all commands: what the operating system refused, where no command says more of it."""
    named = [str(each) for each in (error.filename, error.filename2) if each is not None]
    return HostError(
        f"{' to '.join(named) or what}: {error.strerror or str(error) or type(error).__name__}",
        remedy="See that what it reads, writes or prints to is there, that this user may use it, and that it has room.",
    )


def _end_in_order() -> None:
    """Have the signals that ask a process to end do so; one that is ignored (nohup) stays so."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def _end(number: int, _frame: object) -> None:
    """End as Ctrl-C does: machines, services and half-written files of a command end with it.

    Whoever asks again meanwhile, as a terminal that closes while a host shuts down, does not cut this short. No signal
    is ignored for it: programs that are started on the way to the end would ignore it too.
    """
    for each in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) is _end:
            signal.signal(each, _go_on)
    sys.exit(ENDED_BY + number)


def _go_on(_number: int, _frame: object) -> None:
    """It ends already."""


def _without_colour(arguments: list[str]) -> list[str]:
    """The arguments without ``--no-color``, which is taken out here for all commands."""
    if NO_COLOUR_OPTION not in arguments:
        return arguments
    os.environ[NO_COLOUR_VARIABLE] = "1"
    return [each for each in arguments if each != NO_COLOUR_OPTION]


def _started(words: Sequence[str]) -> bool:
    """Run a lasting command if its options are plain, until its end; False where the command must read them."""
    for command, module in LASTING.items():
        if tuple(words[: len(command)]) == command:
            lasting = importlib.import_module(f".{module}", __package__)
            options = lasting.plain_options(words[len(command) :])
            if options is not None:
                lasting.start(options)
                return True
    return False
