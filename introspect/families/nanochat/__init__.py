"""Looped nanochat."""
