"""How fast trials are run: against peers, against plain generation and against the limit of the machine."""
