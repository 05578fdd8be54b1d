"""Accounts: who may sign for one, decided by a chain of operations that its own keys sign."""
