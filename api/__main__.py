"""`python -m api`: the same as `gwp-chat`."""

from api.cli import main

main()
