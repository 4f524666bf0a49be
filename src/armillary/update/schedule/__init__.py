# SPDX-License-Identifier: Apache-2.0
"""When an update may begin: maintenance windows in local time, and what a device makes of an offer's timing.

What it is: pure rules. ``maintenance`` turns windows by the wall clock of a time zone into moments; ``begin`` decides
on the device, from the offer's timing and what applications put off, whether an installation begins now.
What it is not: how an installation goes (``armillary.update``), who is offered what (``armillary.service.updates``).
Specification: docs/concepts/when-devices-update.md; time zones are the IANA's (RFC 6557), ambiguous wall clock times as
in PEP 495.
"""
