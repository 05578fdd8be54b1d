"""Registers on nodes: their seats, what operators ask of them, and the topology in them."""
