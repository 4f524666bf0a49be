# SPDX-License-Identifier: Apache-2.0
"""How much one application may use of the machine, counted over all its processes.

Control groups hold it (``engines/sandbox/control_groups``). Where a host has none, the limits of single processes
(``confine.resource_limits``) hold what they can.
"""

from __future__ import annotations

from dataclasses import dataclass

# A Python application with TLS and MQTT needs about 40 MiB; a chip profile may give more and never less, because the
# C library and the program that starts an application would not fit into what a microcontroller has.
MEMORY_BYTES = 256 * 1024 * 1024
# Threads and processes together: an event loop with its helpers, far from what a fork bomb needs to be felt.
PROCESSES = 64
# Of all processors of the machine together: the rest stays for the device's own work, its updates above all.
PROCESSOR_PERCENT = 80
# Beside other applications that want the processors too: all have equal parts.
PROCESSOR_WEIGHT = 100
# Character devices that are not devices of the board; every application may open them.
STANDARD_DEVICES = ("null", "zero", "full", "random", "urandom")


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationLimits:
    """Bounds of one application as a whole.

    Attributes:
        memory_bytes: Private and shared memory, temporary files and the kernel's buffers for it together.
        processes: Processes and threads.
        processor_percent: Time on all processors of the machine together, percent.
        processor_weight: Its part where others want the processors too, beside their weights; 1 to 10000.
        devices: Standard devices that it may open, by name in ``/dev``.
    """

    memory_bytes: int = MEMORY_BYTES
    processes: int = PROCESSES
    processor_percent: int = PROCESSOR_PERCENT
    processor_weight: int = PROCESSOR_WEIGHT
    devices: tuple[str, ...] = STANDARD_DEVICES


DEFAULT_LIMITS = ApplicationLimits()
# A real-time application whose core is emulated: the emulator, its library and the core's memories need 45 MiB, and
# nothing in it grows with what firmware does.
CORE_LIMITS = ApplicationLimits(memory_bytes=128 * 1024 * 1024, processes=4, processor_percent=50, processor_weight=50)


def limits_of_chip(application_ram_bytes: int) -> ApplicationLimits:
    """The limits of an application on a chip that has so much memory for one."""
    return ApplicationLimits(memory_bytes=max(application_ram_bytes, MEMORY_BYTES))
