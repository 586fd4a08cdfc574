"""`python -m serving` is the command line; the processes of a stack are started this way."""

from serving.cli.app import main

main()
