# SPDX-License-Identifier: Apache-2.0
"""Who may use the hub, and what the hub may know of devices: certificates, keys, enrolments, device directory.

An update here is a job of the application platform that moves devices to the deployment of another device group.

Not here: connections (``armillary.hub``); deployments (``service/updates``).
"""
