# SPDX-License-Identifier: Apache-2.0
"""The state table of the cellular uplink.

Rules:

* In each state one thing is done next (``STEPS``); what it finds is an event, and the table says the next state.
* A modem that is gone leads back to the beginning from everywhere, and so does a SIM that wants something.
* A PIN is tried once, and only a SIM that is ready has taken it, whatever the modem answers. One that was refused is
  not tried again before somebody sets another; nothing is ever done in ``PUK_NEEDED`` but to look whether somebody
  has unblocked the SIM elsewhere.
* A session that is lost begins with the SIM again: why it was lost is not known.
* What hinders the device itself (its flash) ends no session; from everywhere else it leads to ``LOST``, which waits.

::

    NO_MODEM --> CHECKING_SIM --> SEARCHING --> REGISTERED --> ATTACHED --> CONNECTED --> LOST --> CHECKING_SIM
                   |    ^             |  ^
                   v    |             v  |
      SIM_MISSING, SIM_FAILED,      DENIED, ROAMING_REFUSED
      PUK_NEEDED, ENTERING_PIN --> PIN_NEEDED, PIN_REFUSED
                      |
                      v
                  CHECKING_PIN --> SEARCHING, PIN_REFUSED
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from armillary.wire.modem.radio import Registration, SimState


class UplinkState(enum.StrEnum):
    """Where the uplink stands."""

    OFF = "off"  # the configuration switches it off
    NO_MODEM = "no-modem"
    CHECKING_SIM = "checking-sim"
    SIM_MISSING = "sim-missing"
    SIM_FAILED = "sim-failed"
    ENTERING_PIN = "entering-pin"
    CHECKING_PIN = "checking-pin"
    PIN_NEEDED = "pin-needed"
    PIN_REFUSED = "pin-refused"
    PUK_NEEDED = "puk-needed"
    SEARCHING = "searching"
    DENIED = "denied"
    ROAMING_REFUSED = "roaming-refused"  # by the configuration, not by the network
    REGISTERED = "registered"
    ATTACHED = "attached"
    CONNECTED = "connected"
    LOST = "lost"


class Step(enum.Enum):
    """What is done next."""

    NOTHING = "nothing"
    OPEN = "open"
    ASK_SIM = "ask-sim"
    ENTER_PIN = "enter-pin"
    CHECK_PIN = "check-pin"
    ASK_REGISTRATION = "ask-registration"
    ATTACH = "attach"
    START_SESSION = "start-session"
    CHECK_SESSION = "check-session"


class UplinkEvent(enum.StrEnum):
    """What a step finds."""

    SWITCHED_OFF = "switched-off"
    CHANGED = "changed"  # somebody changed the configuration: begin with the SIM again
    MODEM_GONE = "modem-gone"
    MODEM_ANSWERS = "modem-answers"
    SIM_UNKNOWN = "sim-unknown"  # it is still starting
    SIM_READY = "sim-ready"
    SIM_MISSING = "sim-missing"
    SIM_FAILED = "sim-failed"
    PIN_WANTED = "pin-wanted"
    NO_PIN = "no-pin"  # nobody has set one
    PIN_GIVEN = "pin-given"  # the modem takes it; the SIM has not said anything
    PIN_WRONG = "pin-wrong"
    PUK_WANTED = "puk-wanted"
    NOT_REGISTERED = "not-registered"
    NETWORK_DENIES = "network-denies"
    ROAMING_NOT_WANTED = "roaming-not-wanted"
    REGISTERED = "registered"
    REFUSED = "refused"  # the network takes no attach, or no session
    ATTACHED = "attached"
    SESSION_UP = "session-up"
    SESSION_GONE = "session-gone"
    HINDERED = "hindered"  # the device itself cannot do the step: its flash fails


S, E = UplinkState, UplinkEvent

STEPS: Final[Mapping[UplinkState, Step]] = {
    S.OFF: Step.NOTHING,
    S.NO_MODEM: Step.OPEN,
    S.CHECKING_SIM: Step.ASK_SIM,
    S.SIM_MISSING: Step.ASK_SIM,
    S.SIM_FAILED: Step.ASK_SIM,
    S.ENTERING_PIN: Step.ENTER_PIN,
    S.CHECKING_PIN: Step.CHECK_PIN,
    S.PIN_NEEDED: Step.ASK_SIM,
    S.PIN_REFUSED: Step.ASK_SIM,
    S.PUK_NEEDED: Step.ASK_SIM,
    S.SEARCHING: Step.ASK_REGISTRATION,
    S.DENIED: Step.ASK_REGISTRATION,
    S.ROAMING_REFUSED: Step.ASK_REGISTRATION,
    S.REGISTERED: Step.ATTACH,
    S.ATTACHED: Step.START_SESSION,
    S.CONNECTED: Step.CHECK_SESSION,
    S.LOST: Step.ASK_SIM,
}

# What each step may find, and where that leads; a SIM that still wants its PIN has rows of its own below.
_OF_STEP: Final[Mapping[Step, Mapping[UplinkEvent, UplinkState]]] = {
    Step.NOTHING: {},
    Step.OPEN: {E.MODEM_ANSWERS: S.CHECKING_SIM},
    Step.ASK_SIM: {
        E.SIM_UNKNOWN: S.CHECKING_SIM,
        E.SIM_READY: S.SEARCHING,
        E.SIM_MISSING: S.SIM_MISSING,
        E.SIM_FAILED: S.SIM_FAILED,
        E.PIN_WANTED: S.ENTERING_PIN,
        E.PUK_WANTED: S.PUK_NEEDED,
    },
    Step.ENTER_PIN: {
        E.NO_PIN: S.PIN_NEEDED,
        E.PIN_GIVEN: S.CHECKING_PIN,
        E.PIN_WRONG: S.PIN_REFUSED,
        E.PUK_WANTED: S.PUK_NEEDED,
    },
    Step.CHECK_PIN: {
        E.SIM_UNKNOWN: S.CHECKING_PIN,
        E.SIM_READY: S.SEARCHING,
        E.SIM_MISSING: S.SIM_MISSING,
        E.SIM_FAILED: S.SIM_FAILED,
        E.PIN_WANTED: S.CHECKING_PIN,
        E.PIN_WRONG: S.PIN_REFUSED,
        E.PUK_WANTED: S.PUK_NEEDED,
    },
    Step.ASK_REGISTRATION: {
        E.NOT_REGISTERED: S.SEARCHING,
        E.NETWORK_DENIES: S.DENIED,
        E.ROAMING_NOT_WANTED: S.ROAMING_REFUSED,
        E.REGISTERED: S.REGISTERED,
    },
    Step.ATTACH: {E.ATTACHED: S.ATTACHED, E.REFUSED: S.LOST},
    Step.START_SESSION: {E.SESSION_UP: S.CONNECTED, E.REFUSED: S.LOST},
    Step.CHECK_SESSION: {E.SESSION_UP: S.CONNECTED, E.SESSION_GONE: S.LOST, E.ROAMING_NOT_WANTED: S.ROAMING_REFUSED},
}
_ALWAYS: Final[Mapping[UplinkEvent, UplinkState]] = {E.SWITCHED_OFF: S.OFF, E.MODEM_GONE: S.NO_MODEM}
_WITHOUT_MODEM: Final = (Step.NOTHING, Step.OPEN)

TRANSITIONS: Final[Mapping[tuple[UplinkState, UplinkEvent], UplinkState]] = {
    **{(state, event): after for state, step in STEPS.items() for event, after in _OF_STEP[step].items()},
    **{(state, event): after for state in S for event, after in _ALWAYS.items()},
    **{(state, E.CHANGED): S.CHECKING_SIM for state in S},
    (S.OFF, E.CHANGED): S.NO_MODEM,
    (S.NO_MODEM, E.CHANGED): S.NO_MODEM,
    **{(state, E.HINDERED): S.LOST for state, step in STEPS.items() if step not in _WITHOUT_MODEM},
    (S.CONNECTED, E.HINDERED): S.CONNECTED,
    (S.PIN_NEEDED, E.PIN_WANTED): S.PIN_NEEDED,  # the SIM still waits; only a PIN that somebody sets leads on
    (S.PIN_REFUSED, E.PIN_WANTED): S.PIN_REFUSED,  # as above
}

SIM_EVENTS: Final[Mapping[SimState, UplinkEvent]] = {
    SimState.UNKNOWN: E.SIM_UNKNOWN,
    SimState.READY: E.SIM_READY,
    SimState.PIN: E.PIN_WANTED,
    SimState.PUK: E.PUK_WANTED,
    SimState.MISSING: E.SIM_MISSING,
    SimState.FAILED: E.SIM_FAILED,
}

# What stands in a status, for people.
MEANING: Final[Mapping[UplinkState, str]] = {
    S.OFF: "switched off",
    S.NO_MODEM: "no modem answers",
    S.CHECKING_SIM: "asking the SIM",
    S.SIM_MISSING: "there is no SIM in the modem",
    S.SIM_FAILED: "the SIM does not work, or is locked to another modem",
    S.ENTERING_PIN: "giving the SIM its PIN",
    S.CHECKING_PIN: "asking the SIM whether it took its PIN",
    S.PIN_NEEDED: "the SIM wants its PIN, and none is set",
    S.PIN_REFUSED: "the SIM refused the PIN; it is not tried again until another is set",
    S.PUK_NEEDED: "the SIM is blocked: its PUK has to be entered in another device",
    S.SEARCHING: "looking for a network",
    S.DENIED: "the network refuses this SIM",
    S.ROAMING_REFUSED: "only a foreign network is there, and roaming is switched off",
    S.REGISTERED: "in a network, without data",
    S.ATTACHED: "attached, without a session",
    S.CONNECTED: "the data session is up",
    S.LOST: "the data session was lost or refused; it is started again",
}


def advance(state: UplinkState, event: UplinkEvent) -> UplinkState:
    """The state after an event; KeyError where it cannot happen in this state, which is a defect of the caller."""
    return TRANSITIONS[state, event]


def registration_event(found: Registration, *, roaming: bool) -> UplinkEvent:
    """What a registration means; ``roaming`` is whether a foreign network may be used."""
    if found is Registration.HOME or (found is Registration.ROAMING and roaming):
        return E.REGISTERED
    if found is Registration.ROAMING:
        return E.ROAMING_NOT_WANTED
    return E.NETWORK_DENIES if found is Registration.DENIED else E.NOT_REGISTERED
