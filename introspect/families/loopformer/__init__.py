"""LoopFormer: a block that is told how far its loops have come."""
