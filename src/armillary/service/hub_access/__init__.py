# SPDX-License-Identifier: Apache-2.0
"""Who may use the hub, and what the hub may know of devices: certificates, keys, enrolments, directory.

Not here: connections (``armillary.hub``).
"""
