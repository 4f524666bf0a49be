# SPDX-License-Identifier: Apache-2.0
"""A modem that speaks AT commands (3GPP TS 27.007): the port's calls as commands, and their answers as values."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from armillary.engines.modem.channel import AtChannel
from armillary.engines.modem.opening import open_node
from armillary.engines.modem.port import AccessPoint, ModemGoneError, ModemIdentity, ModemRefusedError, Reception
from armillary.engines.modem.waking import Waking
from armillary.wire.modem import commands
from armillary.wire.modem.answers import (
    MAX_NAME_CHARACTERS,
    Addressing,
    Answer,
    Attached,
    Context,
    Identity,
    Operator,
    Other,
    Registered,
    Sim,
    Strength,
)
from armillary.wire.modem.commands import Command
from armillary.wire.modem.radio import SIM_ERRORS, Registration, SimState, Technology

_Kind = TypeVar("_Kind")
# A modem that starts answers late, and its first answer may be garbage.
ATTEMPTS: Final = 3
ATTEMPT_S: Final = 2.0
IN_A_NETWORK: Final = (Registration.HOME, Registration.ROAMING)


@contextlib.contextmanager
def open_at_modem(node: Path, waking: Waking) -> Iterator[AtModem]:
    """The modem behind a node, until the block ends; ModemGoneError where none answers."""
    with open_node(node) as descriptor:
        modem = AtModem(AtChannel(descriptor, waking))
        modem.begin()
        yield modem


class AtModem:
    """One modem behind an open channel; the port is ``engines/modem/port.py``."""

    def __init__(self, channel: AtChannel) -> None:
        self._channel = channel

    def begin(self) -> None:
        """Find out whether it answers, and have it speak as the parser expects; ModemGoneError."""
        for attempt in range(ATTEMPTS):
            try:
                self._channel.ask(Command("ATE0", "ATE0", ATTEMPT_S))
                break
            except (ModemGoneError, ModemRefusedError):
                if attempt == ATTEMPTS - 1:
                    raise ModemGoneError("the modem does not answer AT commands") from None
        for each in (commands.NUMBERED_ERRORS, *commands.TELL_REGISTRATIONS, commands.LONG_NAMES):
            self._try(each)

    def identity(self) -> ModemIdentity:
        """As the port has it."""
        return ModemIdentity(
            maker=self._text(commands.MAKER),
            model=self._text(commands.MODEL),
            imei=self._digits(commands.IMEI),
            iccid=self._digits(commands.ICCID),
        )

    def sim(self) -> SimState:
        """As the port has it."""
        try:
            found = _first(self._channel.ask(commands.SIM), Sim)
        except ModemRefusedError as error:
            return SIM_ERRORS.get(error.number or -1, SimState.FAILED)
        return SimState.UNKNOWN if found is None else found.state

    def enter_pin(self, pin: str) -> None:
        """As the port has it."""
        self._channel.ask(commands.enter_pin(pin))

    def search(self, operator: str) -> None:
        """As the port has it."""
        self._channel.ask(commands.choose_operator(operator))

    def registration(self) -> Registered:
        """Of the packet network where it is in one, else of the other."""
        found = [_first(self._try(each), Registered) for each in (commands.PACKET_REGISTRATION, commands.REGISTRATION)]
        known = [each for each in found if each is not None]
        for each in known:
            if each.registration in IN_A_NETWORK:
                return each
        return known[0] if known else Registered("CEREG", Registration.UNKNOWN)

    def reception(self) -> Reception:
        """As the port has it."""
        operator = _first(self._try(commands.OPERATOR_NAME), Operator) or Operator()
        strength = _first(self._try(commands.STRENGTH_EXTENDED), Strength)
        if strength is None or strength.dbm is None:
            strength = _first(self._try(commands.STRENGTH), Strength)
        technology = operator.technology
        if technology is Technology.UNKNOWN:
            technology = self.registration().technology
        dbm = None if strength is None else strength.dbm
        return Reception(operator=operator.name or operator.digits, technology=technology, dbm=dbm)

    def attach(self, access_point: AccessPoint) -> None:
        """The access point is said first: an LTE modem attaches with it."""
        self._channel.ask(commands.define_context(access_point.name))
        signing_in = commands.authenticate(access_point.authentication, access_point.username, access_point.password)
        if access_point.authentication is commands.Authentication.NONE:
            self._try(signing_in)  # modems that cannot sign in do not know the command
        else:
            self._channel.ask(signing_in)
        attached = _first(self._try(commands.ATTACHED), Attached)
        if attached is None or not attached.is_attached:
            self._channel.ask(commands.ATTACH)

    def start_session(self) -> Addressing | None:
        """As the port has it."""
        self._channel.ask(commands.ACTIVATE)
        found = [each for each in self._try(commands.ADDRESSING) if isinstance(each, Addressing)]
        return next((each for each in found if each.number == commands.CONTEXT), None)

    def session_is_up(self) -> bool:
        """As the port has it."""
        found = [each for each in self._try(commands.CONTEXTS) if isinstance(each, Context)]
        return any(each.is_active for each in found if each.number == commands.CONTEXT)

    def end_session(self) -> None:
        """As the port has it."""
        self._try(commands.DEACTIVATE)

    def wait(self, seconds: float) -> bool:
        """As the port has it."""
        return self._channel.wait(seconds)

    def _try(self, command: Command) -> list[Answer]:
        """Ask what a modem need not know; no answer where it refuses."""
        try:
            return self._channel.ask(command)
        except ModemRefusedError:
            return []

    def _text(self, command: Command) -> str:
        found = _first(self._try(command), Other)
        if found is None:
            return ""
        _, colon, after = found.text.partition(": ")
        return (after if colon else found.text).strip('" ')[:MAX_NAME_CHARACTERS]

    def _digits(self, command: Command) -> str:
        found = _first(self._try(command), Identity)
        return "" if found is None else found.digits


def _first(answers: Iterable[Answer], kind: type[_Kind]) -> _Kind | None:
    return next((each for each in answers if isinstance(each, kind)), None)
