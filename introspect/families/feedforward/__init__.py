"""Feed-forward models of transformers, as looped models of one loop."""
