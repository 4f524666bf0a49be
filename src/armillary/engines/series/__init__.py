# SPDX-License-Identifier: Apache-2.0
"""Series: every message devices sent, and the values in it over time, in one SQLite file.

What it is: a durable log of messages as they came; the values decoded from it, kept per device and name in
chunks of an hour with count, lowest, highest and total; the latest value of each; device twins and what the
hub must remember of a device. What it is not: a general time series database, and no place for decisions.

How values get there (``store.py`` draws it): a batch of received messages becomes one row of the log in one
transaction, and only then are they acknowledged. Decoding follows, outside of that path: values gather in
memory and are sealed into chunks every few seconds, in one transaction with the log position they reach. After
a crash the log is read again from that position, so values are neither lost nor doubled.

Never a row a point: one insert per point into a keyed table is 17 times slower, and Python's driver gives up
the interpreter lock at every row.
"""
