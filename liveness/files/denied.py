"""Why a file cannot be read: whose it is, and the remedy."""

import os
import pwd
import stat
from pathlib import Path


def why_denied(path: Path) -> str | None:
    """Return who owns the file or folder that denies this process a path, and the remedy; None if this user owns it."""
    whole = path.absolute()
    for place in (*reversed(whole.parents), whole):
        try:
            status = place.stat()
        except OSError:
            return None
        wanted = os.X_OK if place != whole else os.R_OK | os.X_OK * stat.S_ISDIR(status.st_mode)
        if not os.access(place, wanted, effective_ids=True):
            return None if status.st_uid == os.geteuid() else _remedy(place, status)
    if not os.access(whole, os.W_OK, effective_ids=True) and status.st_uid != os.geteuid():
        return _remedy(whole, status)
    return None


def _remedy(place: Path, status: os.stat_result) -> str:
    try:
        owner = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        owner = str(status.st_uid)
    mode = stat.S_IMODE(status.st_mode)
    return (
        f"{place} belongs to {owner} (mode {mode:04o}): run this as {owner} (sudo -u {owner} …), or"
        " have later runs shared with a group: `share: {group: NAME}` in the config"
    )
