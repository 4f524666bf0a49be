# SPDX-License-Identifier: Apache-2.0
"""Methods of what applications keep of the whole device: certificates, Wi-Fi networks, the proxy.

What it is not: where it is kept, and what may be kept (``armillary.device.state``).
Specification: ``docs/reference/application-interface.md``.
"""
