"""One forward step with additions: by nnsight's hooks, or from buffers that a graph can replay."""
