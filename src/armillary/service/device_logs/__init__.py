# SPDX-License-Identifier: Apache-2.0
"""Logs of devices: who may ask a device for its log, how the answer is taken, how long it is kept, who reads it.

What it is: one request of a device at a time, its newest answer, and the trace of both in the audit log.
What it is not: a store of logs; a device keeps its own (``device/state/journal.py``).
"""
