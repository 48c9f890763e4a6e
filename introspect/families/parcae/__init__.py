"""Parcae: a core whose state decays and is fed anew."""
