"""The beginning of a prompt that trials share: how it is read, kept in memory, and counted as work."""
