"""What the loops compute: monitors, dynamics and trajectories, over the same models, sites and runs as the sweeps.

Goes in: texts or trials, and a Tap on a model. Comes out: an Analysis, tables and figures beside those of a sweep.
"""
