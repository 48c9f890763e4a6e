"""Ouro: the whole stack run again and again, with an exit gate."""
