"""Which trials a run has: cells of loops, layers and strengths, and what is asked in each."""
