"""A complete installation in one command, with a small real model, to try things out."""
