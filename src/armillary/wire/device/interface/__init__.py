# SPDX-License-Identifier: Apache-2.0
"""What an application and its device say to one another over the application interface: frames and messages.

Not here: what the methods do (``armillary.device.interface``).
Specification: ``docs/reference/application-interface.md``.
"""
