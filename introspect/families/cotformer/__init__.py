"""CoTFormer and the block universal transformer: later loops attend to what earlier ones wrote."""
