"""Looped models: one interface over families of them, loading, and access to their residual streams."""
