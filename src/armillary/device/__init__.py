# SPDX-License-Identifier: Apache-2.0
"""Device: the process that is one device on this host.

What it is: I/O around the pure rules. It starts (verified and measured boot, root of trust), runs applications
in the sandbox, proves itself to the service at every check-in, installs what it is offered in a transaction
that survives power cuts, and reports what went wrong. It dials out only, and listens on nothing unless the API for
tools on its host is asked for (``device/rest``).
What it is not: a judge of its own trust (the service appraises), and not the sandbox, the flash or the root of
trust (``armillary.engines``).
Specification: docs/reference/device-protocol.md (wire), docs/reference/device-update.md (installation),
``device/state/layout.py`` (files).
"""
