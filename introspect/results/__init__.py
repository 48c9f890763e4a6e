"""Results of a run: the store, tables, statistics and figures. Needs neither torch nor nnsight."""
