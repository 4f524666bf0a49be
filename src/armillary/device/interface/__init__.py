# SPDX-License-Identifier: Apache-2.0
"""The application interface: how applications on a device ask their device for something.

One Unix socket for each running application. Who asks is known by the socket that it asks at, never by what it says.
What can be asked is a table of methods, each with the capability that it needs: ``method.py`` has the row,
``methods.py`` puts the rows together, and a file of rows for each kind of thing stands beside them.

What it is not: the format of what is said (``armillary.wire.device.interface``), how a socket reaches into a sandbox
(``armillary.engines.sandbox``).
Specification: ``docs/reference/application-interface.md``.
"""
