"""How a command ends: with its exit code, or one line that says what is wrong and how to mend it."""

import os
import signal
import sys
from collections.abc import Callable
from errno import EDQUOT, EFBIG, ENOSPC
from typing import TYPE_CHECKING, Any

from serving.cli.printable import printable

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

_NO_SPACE = (ENOSPC, EDQUOT, EFBIG)


def perform(command: Any, *arguments: Any, loop_factory: "Callable[[], AbstractEventLoop] | None" = None) -> None:
    """Runs a command; its errors become one line with the mend and the right exit code."""
    import asyncio

    from privacy.errors import PrivacyError, VaultUnwritable
    from serving.errors import ServingError

    _end_as_by_ctrl_c(signal.SIGTERM, signal.SIGHUP)
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            code = runner.run(command(*arguments))
        print(end="", flush=True)
    except KeyboardInterrupt:
        code = 130
    except ServingError as error:
        code = _say(error.message, error.hint, error.exit_code)
    except VaultUnwritable as error:
        code = _say(str(error), "TRIREME_HOME names it; nothing was sent", 1)
    except PrivacyError as error:
        code = _say(str(error), "nothing was sent", 1)
    except BrokenPipeError:
        sys.stderr.close()
        code = 0
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        code = _say(f"the output can't be written: {error.strerror}", "free some space, or write elsewhere", 1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left of it is written at the exit
    raise SystemExit(code or 0)


def _end_as_by_ctrl_c(*numbers: signal.Signals) -> None:
    """So that a command stops what it started when it is told to end, or its terminal is closed; nohup still holds."""
    for number in numbers:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))


def _say(message: str, hint: str, code: int) -> int:
    print(printable(f"trireme: {message}" + (f": {hint}" if hint else "")), file=sys.stderr)
    return code
