"""On a GPU: equality first, then a decode step against the floor of memory bandwidth, and trials a second."""
