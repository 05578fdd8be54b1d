"""How a node is configured: what the settings are, where values come from, and what is wrong with them."""
