"""A disk that remembers each write and flush: one file on a FUSE file system of our own.

    python blocklog.py FOLDER IMAGE LOG

mounts on FOLDER a file system with the one file `disk`, which is IMAGE. What is written to it is
also appended to LOG, a record for each write and flush in their order, so that the disk can be made
what it was after any of them. It speaks the kernel's protocol (linux/fuse.h) itself: what a loop
device needs of it is little, and no library has to be there. It ends when FOLDER is unmounted.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import sys

ROOT, DISK = 1, 2
MOST = 2**17  # bytes of a write

UNANSWERED = {2, 36, 42}  # FUSE_FORGET, FUSE_INTERRUPT, FUSE_BATCH_FORGET

RECORD = struct.Struct("=QQ")  # offset and size of a write; a flush has all ones as its offset
FLUSHED = 2**64 - 1


class Disk:
    """Answers the kernel's requests."""

    def __init__(self, image, log):
        self.image = os.open(image, os.O_RDWR)
        self.log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.size = os.fstat(self.image).st_size

    def attributes(self, node):
        """Describe the folder or the disk, as `struct fuse_attr`."""
        size, mode = (
            (0, stat.S_IFDIR | 0o755) if node == ROOT else (self.size, stat.S_IFREG | 0o644)
        )
        return struct.pack(
            "=6Q10I", node, size, size // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0
        )

    def answer(self, code, node, body):
        """Give the answer to a request; an OSError says what went wrong."""
        match code:
            case 26:  # FUSE_INIT; the flag is FUSE_BIG_WRITES, or all writes are of one page
                answer = struct.pack("=IIIIHHII", 7, 31, 0, 0x20, 12, 10, MOST, 1) + bytes(36)
            case 1 if body == b"disk\0":  # FUSE_LOOKUP
                answer = struct.pack("=QQQQII", DISK, 0, 0, 0, 0, 0) + self.attributes(DISK)
            case 3 | 4:  # FUSE_GETATTR, FUSE_SETATTR
                answer = struct.pack("=QII", 0, 0, 0) + self.attributes(node)
            case 14 | 27:  # FUSE_OPEN, FUSE_OPENDIR
                answer = struct.pack("=QII", 0, 0, 0)
            case 15:  # FUSE_READ
                _, offset, size = struct.unpack_from("=QQI", body)
                answer = os.pread(self.image, size, offset)
            case 16:  # FUSE_WRITE
                _, offset, size = struct.unpack_from("=QQI", body)
                data = body[40 : 40 + size]
                os.pwrite(self.image, data, offset)
                os.write(self.log, RECORD.pack(offset, size) + data)
                answer = struct.pack("=II", size, 0)
            case 17:  # FUSE_STATFS
                answer = struct.pack("=5Q4I", 0, 0, 0, 0, 0, 4096, 255, 4096, 0) + bytes(24)
            case 20:  # FUSE_FSYNC
                os.write(self.log, RECORD.pack(FLUSHED, 0))
                answer = b""
            case 18 | 25 | 29:  # FUSE_RELEASE, FUSE_FLUSH, FUSE_RELEASEDIR
                answer = b""
            case _:
                raise OSError(errno.ENOENT if code == 1 else errno.ENOSYS, "not here")
        return answer

    def serve(self, fuse):
        """Answer until the file system is unmounted."""
        while True:
            try:
                request = os.read(fuse, MOST + 4096)
            except OSError as exc:
                if exc.errno == errno.ENODEV:  # unmounted
                    return
                if exc.errno in {errno.EINTR, errno.ENOENT}:  # taken back
                    continue
                raise
            _, code, unique, node = struct.unpack_from("=IIQQ", request)
            if code in UNANSWERED:
                continue
            error = 0
            try:
                answer = self.answer(code, node, request[40:])
            except OSError as exc:
                error, answer = -exc.errno, b""
            os.write(fuse, struct.pack("=IiQ", 16 + len(answer), error, unique) + answer)


def main(folder, image, log):
    """Mount and serve."""
    fuse = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0,max_read={MOST}"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"blocklog", os.fsencode(folder), b"fuse", 0, options.encode()):
        sys.exit(os.strerror(ctypes.get_errno()))
    print("ready", flush=True)
    Disk(image, log).serve(fuse)


if __name__ == "__main__":
    main(*sys.argv[1:])
