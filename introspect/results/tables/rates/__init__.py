"""Rates and means, cell by cell: what is counted, with its n and interval."""
