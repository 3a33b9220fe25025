"""What make calls: python -m tools.run, tools.full, tools.record, tools.refresh; they share the other modules."""

import sys


def _report(kind, error, traceback) -> None:
    """Ctrl-C is no error: one line in place of a traceback. Commands that can say more catch it themselves."""
    if issubclass(kind, KeyboardInterrupt):
        print("\nInterrupted. Every file is as it was or as it should be; call it again.", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


sys.excepthook = _report
