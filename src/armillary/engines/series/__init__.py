# SPDX-License-Identifier: Apache-2.0
"""Series: every message devices sent, and the values in it over time, in one SQLite file or one PostgreSQL database.

What it is: a durable log of messages as they came; the values decoded from it, appended while their hour lasts and
sealed when it is over, into compressed chunks and roll-ups of minutes and hours; the latest value of each device and
name; device twins and what the hub must remember of a device. What it is not: a general time series database, and no
place for decisions.

How values get there (``store.py`` draws it): a batch of received messages becomes one row of the log in one
transaction, and only then are they acknowledged. Decoding follows, outside of that path: values gather in memory and
are flushed every few seconds, in one transaction with the log position they reach. After a crash the log is read again
from that position, so values are neither lost nor doubled. Sealing (``engines/series/values/seal.py``) moves an hour of
one shard of series in one transaction.

Never a row a point: one insert per point into a keyed table is 17 times slower, and Python's driver gives up
the interpreter lock at every row.
"""
