"""Placeholder."""
def best() -> None:
    """x."""
def power() -> None:
    """x."""
