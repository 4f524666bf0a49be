# SPDX-License-Identifier: Apache-2.0
"""Runs of jobs, and what became of each device in them, durably: a run goes on after a crash where it was."""
