"""Feeds in the order of an algorithm: candidates, what is known of them, and the pages made of both."""
