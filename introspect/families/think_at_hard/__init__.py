"""Think-at-Hard: hard tokens are thought about again, with an adapter of their own."""
