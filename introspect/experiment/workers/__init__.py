"""Many workers: one driver cuts the plan into blocks and stores; workers, each with a model, run the blocks."""
