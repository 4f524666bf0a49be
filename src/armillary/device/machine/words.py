# SPDX-License-Identifier: Apache-2.0
"""What the device process and process 1 of the device image tell each other, by a pipe for each direction.

The device process is started early, beside process 1, and loads what it needs; it waits for the word that the data is
there. Then it says a :class:`Word` of its own where something has happened, a line each, and again and again that it
goes on (:meth:`Words.beat`): process 1 restarts a machine whose device process hangs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, MutableMapping
from enum import Enum
from typing import Final

# What the device process is told: the pipes' descriptors, and the node of the disk that has its slots.
WORDS_VARIABLE: Final = "ARMILLARY_MACHINE_WORDS"
GO_VARIABLE: Final = "ARMILLARY_MACHINE_GO"
DISK_VARIABLE: Final = "ARMILLARY_MACHINE_DISK"
# Where process 1 leaves what it found before the device process is let go: first NOTHING_KEPT where what is written to
# the data's folder is gone with the next start (else nothing), then what went wrong, a line each.
FAULTS: Final = "/run/machine-faults"
NOTHING_KEPT: Final = "nothing is kept"
BEAT_S: Final = 30.0  # how often it says that it goes on
# A machine that restarts again and again, without its data or because its OS may not boot, does it no more often: each
# start writes the firmware's flash, which is to outlast years of it (35,000 starts in one). One whose device process
# ends again and again restarts sooner, every minute or two: process 1 does not know why it ends, and an OS on trial
# that fails so is to be left soon. Where it has no TPM, or its TPM does not know whom it trusts, that goes on for ever.
RESTARTS_APART_S: Final = 900.0


class Word(Enum):
    """What the device process says to process 1."""

    READY = "ready"
    WAITING = "waiting"  # it is no device, and waits to be told whose it is, or for its data
    RESTART = "restart"
    BEAT = "beat"  # it goes on


class Words:
    """The device process's end; it says and waits for nothing where it was started by somebody else."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        """Take the descriptors out of ``environment``, so that no child has them."""
        self._words = int(environment.pop(WORDS_VARIABLE, "-1"))
        self._go = int(environment.pop(GO_VARIABLE, "-1"))
        self._said: set[Word] = set()
        for each in (self._words, self._go):
            if each >= 0:
                os.set_inheritable(each, False)

    def wait_for_data(self) -> bool:
        """Wait until the data is there; False if process 1 ended before it was."""
        if self._go < 0:
            return True
        said = os.read(self._go, 1)
        os.close(self._go)
        self._go = -1
        return bool(said)

    def say(self, word: Word, *, before: Callable[[], None] = lambda: None) -> None:
        """Say a word, once; ``before`` is done first."""
        if word in self._said:
            return
        self._said.add(word)
        before()
        self._write(word)

    def beat(self) -> None:
        """Say that it goes on, each time anew; it is said by what does the work, never by a thread beside that."""
        self._write(Word.BEAT)

    def _write(self, word: Word) -> None:
        if self._words >= 0:
            os.write(self._words, word.value.encode() + b"\n")
