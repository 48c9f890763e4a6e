"""Tables: from the store of a run to tidy frames."""
