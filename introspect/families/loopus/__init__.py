"""LoopUS: the middle layers of a pretrained model in a loop, whose end a learned gate mixes with its beginning."""
