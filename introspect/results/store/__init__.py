"""The store of a run: one SQLite file and a folder, written by one process, read by any."""
