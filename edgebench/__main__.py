"""`python -m edgebench` is `edgebench`."""

from edgebench.cli import main

main()
