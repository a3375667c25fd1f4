"""Runs: answers being written, and the logs that their readers follow."""
