"""The entry point: while the command line loads, Ctrl-C ends the process as it does any other, without a traceback."""

import signal


def main() -> None:
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interruptible:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from serving.cli.app import app

    if interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    app()
