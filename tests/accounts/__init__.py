"""Accounts: operations, their fold, handles and claims."""
