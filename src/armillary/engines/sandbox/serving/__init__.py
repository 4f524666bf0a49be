# SPDX-License-Identifier: Apache-2.0
"""The fork server: one small process beside a device that starts its applications, so that none waits for a Python.

What it is not: containment. bubblewrap makes the sandbox, and ``within/launcher`` gives up the rights.
"""
