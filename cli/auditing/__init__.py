"""Audits of moderation: gathered from nodes or made on labelled texts, as tables and plots."""
