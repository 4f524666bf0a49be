# SPDX-License-Identifier: Apache-2.0
"""``armillary demo``: the main story, played with real processes.

``scenes.py`` is the story in order: machines behind guardians, devices that prove what they run, telemetry, a command;
``attacks.py`` its second half, ``os_updates.py`` the OS of its devices, ``saturday.py`` its last act; ``machines.py``
is what stands behind each device. Each scene is a function that does one thing on the real interfaces and returns one
sentence of what was seen, or raises with what was not. ``cli/story/`` plays them.

What it is not: a test double anywhere, or a second client of anything: scenes use the operator API, the command line,
the guardian's image that ``armillary guardian image`` makes, and the shipped attacker. Equipment is simulated, speaks
its real protocol over pseudo-terminals, and says that it is simulated. Specification: design contract "Commands" in
ARCHITECTURE.md.
"""
