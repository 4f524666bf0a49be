# SPDX-License-Identifier: Apache-2.0
"""Writes a built device image to a disk of this host, or to a file: looks first, asks, verifies what it wrote.

What is on the disk afterwards differs from the image in three things: it has GUIDs of its own, its last partition
reaches to the end, and the file system on it is new.
"""
