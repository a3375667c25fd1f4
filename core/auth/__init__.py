"""Passwords, tokens and what a caller may touch."""
