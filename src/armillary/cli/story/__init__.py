# SPDX-License-Identifier: Apache-2.0
"""The steps of ``armillary demo``, played with real processes.

``stage.py`` starts and ends the processes (the service, the devices) and waits for what the service says of them;
``scenes.py`` is the story in order, ``attacks.py`` its second half, ``saturday.py`` its last act. Each scene is a
function that does one thing on the real interfaces and returns one sentence of what was seen, or raises with what was
not.

What it is not: a test double anywhere, or a second client of anything: scenes use the operator API, the command line
and the shipped attacker. Specification: design contract "Commands" in ARCHITECTURE.md.
"""
