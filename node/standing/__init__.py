"""Whether a node knows that it has all it ever acknowledged, and what its peers remember of it."""
