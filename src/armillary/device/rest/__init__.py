# SPDX-License-Identifier: Apache-2.0
"""The device's own API for tools on its host, in the form of Azure Sphere's, so that its public client works.

What it is: an HTTPS server in the device's process, off unless it is asked for. It answers the user who runs the
device, and root; over a network only who has its token. What may be read or changed follows the manufacturing state
and the capability file, as everywhere on the device.
What it is not: how a device speaks with its service (``device/checkin``), and not for applications.
Specification: docs/reference/device-rest.md.
"""
