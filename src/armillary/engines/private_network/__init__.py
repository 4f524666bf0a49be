# SPDX-License-Identifier: Apache-2.0
"""Sockets of a device at its private network: bound to one interface, and read no faster than is said.

What is answered is decided elsewhere (``device/private_network``).
"""
