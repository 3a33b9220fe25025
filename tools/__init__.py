"""Commands, each called as `python -m tools.NAME`.

make calls run, full, record, refresh, site and hook_versions; colab, report, notebook_diffs and readme_walk are called by
themselves. The other modules are what they share.
"""

import sys


def _report(kind, error, traceback) -> None:
    """Ctrl-C is no error: one line in place of a traceback. Commands that can say more catch it themselves."""
    if issubclass(kind, KeyboardInterrupt):
        print("\nInterrupted. Every file is as it was or as it should be; call it again.", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)


sys.excepthook = _report
