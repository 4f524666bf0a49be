# SPDX-License-Identifier: Apache-2.0
"""The private network: one interface of the host on which applications may serve addresses (DHCP) and the time (SNTP).

Which interface that is, the owner of the host says at the device's start (``--private-network``); an application never
chooses it. What serves ends with the application that began it. ``network.py`` is the top; ``plan.py`` and
``leases.py`` decide, and touch no network.
Specification: ``docs/reference/private-network.md``.
"""
