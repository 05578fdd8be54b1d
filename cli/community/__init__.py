"""What is typed about roles and policies."""
