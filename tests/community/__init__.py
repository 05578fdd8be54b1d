"""Roles and the policy in force: one register, and the documents that it names."""
