"""Write the lock's versions of ruff and nbstripout into .pre-commit-config.yaml; make lock ends with it."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def with_locked(hooks: str, lock: str) -> str:
    """The text of .pre-commit-config.yaml with the versions that the text of a lock pins."""
    return re.sub(
        r"\[([a-z]+)==[^\]]+\]",
        lambda pin: f"[{pin[1]}=={re.search(rf'(?m)^{pin[1]}==([^ ;]+)', lock)[1]}]",
        hooks,
    )


def main() -> None:
    config = ROOT / ".pre-commit-config.yaml"
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    config.write_text(with_locked(config.read_text(encoding="utf-8"), lock), encoding="utf-8")
    print(config.name)


if __name__ == "__main__":
    main()
