# SPDX-License-Identifier: Apache-2.0
"""Series: every message from devices, and the values in it over time, in one SQLite file or one PostgreSQL database.

What it is: a durable log of messages as they came; the values decoded from it, appended during their hour and sealed
after it into compressed chunks and roll-ups of minutes and hours; the latest value of each device and name; device
twins and other rows of the hub about devices. What it is not: a general time series database; it decides nothing.

``store.py`` draws how values get there: a batch of received messages becomes one row of the log in one transaction, and
is acknowledged after it. Decoding follows separately: values gather in memory and are flushed every few seconds, in one
transaction with the log position they reach. After a crash the log is read again from that position, so that no value
is lost or doubled. Sealing (``engines/series/values/seal.py``) moves an hour of one shard of series in one transaction.

There is no row per point: one insert per point into a keyed table is 17 times slower, and Python's driver releases the
interpreter lock at every row.
"""
