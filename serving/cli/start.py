"""The entry point: while the command line loads, Ctrl-C ends the process as it does any other, without a traceback."""

import io
import signal
import sys


def main() -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What documents say, and JSON, fits no narrower encoding, whatever the locale's is.
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interruptible:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from serving.cli.app import app

    if interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    app()
