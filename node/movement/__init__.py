"""Ranges on the move: who asks for it, what is fenced, and how far it is."""
