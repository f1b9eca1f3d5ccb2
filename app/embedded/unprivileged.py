"""Become the given command: without root's rights, and gone when the parent is.

Run as `python unprivileged.py PARENT_PID DEATH_SIGNAL MODE UID GID -- COMMAND…`.  MODE `stay` keeps the user,
`namespace` maps it to UID in a user namespace of its own, `setuid` becomes UID.  Exit status 125: the rights could
not be given up, and the reason stands on stderr.

Only the standard library, and little of it: this file is run by path, before every child.
"""

import ctypes
import os
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
REFUSED = 125
PREFIX = "orderwire: could not run as another user: "


def main(arguments: list[str]) -> None:
    """Replace this process by the command.  Never returns."""
    parent, death_signal, mode, uid, gid, _, *command = arguments
    try:
        if mode == "namespace":
            enter_namespace(int(uid), int(gid))
        elif mode == "setuid":
            os.setgroups([])
            os.setgid(int(gid))
            os.setuid(int(uid))
        # After the change of user, which would clear it.
        call("prctl", PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != int(parent):
            sys.exit(REFUSED)  # the parent died before the line above could tell us so
        os.umask(0o077)
        os.execv(command[0], command)
    except OSError as refused:
        print(f"{PREFIX}{refused.strerror or refused}: {refused.filename or mode}", file=sys.stderr)
        sys.exit(REFUSED)


def enter_namespace(uid: int, gid: int) -> None:
    """Keep the files this user owns and lose everything else root may do."""
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    call("unshare", CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {outer_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {outer_gid} 1")


def call(function: str, *values: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, function)(*values) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), function)


if __name__ == "__main__":
    main(sys.argv[1:])
