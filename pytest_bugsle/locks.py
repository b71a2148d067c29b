"""A file locked for as long as a process holds it open: a killed one lets go.  PYTEST_DONT_REWRITE"""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

if TYPE_CHECKING:
    from pathlib import Path

_HELD = (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK)


def locked(path: Path, flags: int) -> int | None:
    """Open a file that is no link, and lock it; None where another holds the lock, or the file is gone by then.

    Close the handle to let go. Raises OSError for a file that cannot be opened or locked.
    """
    try:
        handle = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except FileNotFoundError:
        return None
    try:
        if sys.platform == "win32":
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Another may have deleted the file between our open and our lock.
        if os.path.samestat(os.fstat(handle), os.stat(path)):
            return handle
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno not in _HELD:
            os.close(handle)
            raise
    os.close(handle)
    return None
