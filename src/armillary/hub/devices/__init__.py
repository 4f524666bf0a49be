# SPDX-License-Identifier: Apache-2.0
"""What operators ask of the data plane, from any thread: twins, mailboxes, files, connectivity, live values.

Not here: connections (``hub/front``). Specification: ``docs/reference/mqtt.md``.
"""
