# SPDX-License-Identifier: Apache-2.0
"""What rules produce, in one SQLite file beside the series: states of devices, alerts, deliveries; secrets of actions.

What it is: durable rows, and transactions that keep them consistent: a firing, the state that caused it and the actions
it asks for are one commit. What it is not: rules (``armillary.twin``) or their documents (``engines/documents``).
"""
