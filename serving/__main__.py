"""`python -m serving` is the command line; the processes of a stack are started this way."""

from serving.cli.start import main

main()
