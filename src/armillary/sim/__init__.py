# SPDX-License-Identifier: Apache-2.0
"""Shipped simulators: parts of the world that tests, demos and benchmarks need and that are not at hand.

What it is: stand-ins that behave like the real thing at one boundary (a device that proves what it booted,
flash that loses power, a fleet), driven by given seeds and times. What it is not: never imported by the
device, the service or the hub.

Specification: the protocol or part each one stands in for, named in its module.
"""
