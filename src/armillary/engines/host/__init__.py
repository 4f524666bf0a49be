# SPDX-License-Identifier: Apache-2.0
"""What a device asks the Linux that it runs on: interfaces, owners of connections, memory of processes.

What it is not: what contains applications (``engines/sandbox``), and not a guardian's sides (``engines/isolation``).
"""
