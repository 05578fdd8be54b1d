"""Feed algorithms: documents that say which posts come into a feed, and what they are worth there."""
