"""The settings that come from the environment: which scale, which seed. The commands check them before a kernel starts."""

import os
import traceback

SCALES = ("sample", "full")
# All that change what a notebook gives; tests and stored outputs are without them.
VARIABLES = ("COURSE_SCALE", "COURSE_SEED", "COURSE_DATA", "COURSE_DEVICES")


class WithoutTraceback(Exception):
    """An error whose message says where it was, what was wrong and what to do. Jupyter shows the message alone.

    With COURSE_TRACEBACK set, as make run sets it for its logs and pages, the traceback is shown, too.
    """

    def _render_traceback_(self) -> list[str]:  # IPython asks for it
        if os.environ.get("COURSE_TRACEBACK"):
            return traceback.format_exception(self)
        return [f"{type(self).__name__}: {self}"]


class SettingError(WithoutTraceback, ValueError):
    """A setting has a value that it cannot have; the message says which it can."""


def checked_scale(value: str | None) -> str:
    """The scale that COURSE_SCALE asks for; without a value sample. Raises SettingError for any other."""
    if (value or "sample") not in SCALES:
        raise SettingError(
            f"COURSE_SCALE={value!r} is not a scale. Valid: 'sample' (the default: bundled data, minutes on a laptop) "
            "and 'full' (the real data and the book's epochs)."
        )
    return value or "sample"


def checked_seed(value: str | None) -> int:
    """The seed that COURSE_SEED asks for; without a value 42. Raises SettingError unless it is from 0 to 2**32 - 1."""
    value = value or "42"
    if not value.isdecimal() or int(value) >= 2**32:
        raise SettingError(f"COURSE_SEED={value!r} is not a seed: use a whole number from 0 to {2**32 - 1}.")
    return int(value)


def checked_seeds(value: str) -> list[int]:
    """The seeds of a list such as "42,43,44". Raises SettingError for an entry that is empty, repeated or no seed."""
    seeds = []
    for entry in value.split(","):
        try:
            seed = checked_seed(entry.strip() or "none")
        except SettingError:
            raise SettingError(
                f"SEEDS={value}: {entry.strip()!r} is not a seed. Use whole numbers from 0 to {2**32 - 1}, "
                "comma-separated, such as 42,43,44."
            ) from None
        if seed in seeds:
            raise SettingError(f"SEEDS={value}: {seed} stands there twice. Name each seed once.")
        seeds.append(seed)
    return seeds


def checked_devices(value: str | None) -> bool:
    """Whether COURSE_DEVICES asks for all devices; without a value for one. Raises SettingError unless it is "all"."""
    if (value or "all") != "all":
        raise SettingError(
            f"COURSE_DEVICES={value!r} is no choice of devices. Valid: 'all'; unset it for one device (the default)."
        )
    return bool(value)
