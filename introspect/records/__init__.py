"""The nouns: sites, trials, responses, and their one JSON form."""
