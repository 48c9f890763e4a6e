"""Mixture-of-Recursions: a router decides which tokens run again."""
