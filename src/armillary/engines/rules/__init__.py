# SPDX-License-Identifier: Apache-2.0
"""What rules produce, in one SQLite file beside the series: states of devices, alerts, deliveries; and their secrets.

What it is: durable rows and the transactions that keep them together: a firing, the state that made it and the actions
it asks for are one commit. What it is not: rules (``armillary.twin``) or the documents that hold them
(``engines/documents``).
"""
