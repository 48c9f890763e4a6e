"""Tables: from the store of a run to tidy frames.

Its floors, each resting on those before: `trials` (trials as rows), `rates` (what is counted or averaged cell by cell),
`effects` (logits beyond plain questions and controls); and here what puts a run's tables together.
"""
