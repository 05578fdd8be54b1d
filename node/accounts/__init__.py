"""Accounts: which keys may sign for whom, how nodes come to know, and what clients ask about it."""
