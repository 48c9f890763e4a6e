"""Huginn: a recurrent core between prelude and coda, begun at random."""
