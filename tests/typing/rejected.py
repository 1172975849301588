"""Calls that a type checker has to refuse, each with the kind of error at its end. Never run."""

from __future__ import annotations

from pathlib import Path

import mt.aio
from mt.aio import BgProcess, CreateFileH5, read_binary, srun, write_binary, write_text
from mt.aio.core import asyn, gather, timeout
from mt.aio.core.lowlevel import offload
from mt.aio.dask import DaskHost
from mt.aio.remote import configure


def plain(context_vars: dict[str, bool]) -> int:
    """Not an asyn function."""
    return len(context_vars)


async def calls(path: Path) -> None:
    """One mistake per line."""
    srun(plain)  # error: arg-type
    await read_binary(3, context_vars={"async": True})  # error: arg-type
    await read_binary(path, "3", context_vars={"async": True})  # error: arg-type
    await read_binary(path, context_vars=True)  # error: arg-type
    await write_text(path, b"x", context_vars={"async": True})  # error: arg-type
    await write_binary(path, b"x", "rw", {"async": True})  # error: arg-type
    await write_binary(path, b"x", durability="disk")  # error: arg-type
    await BgProcess().send("x", "soon")  # error: arg-type
    await BgProcess().send("x", on_give_up="kill")  # error: arg-type
    BgProcess(host="tcp://scheduler:8786")  # error: arg-type
    DaskHost("tcp://scheduler:8786", workers=3)  # error: arg-type
    CreateFileH5()  # error: call-arg
    configure(path, region="x")  # error: arg-type
    await offload(len, 3, context_vars={"async": True})  # error: arg-type
    read_binary.sync(3)  # error: arg-type
    await read_binary.aio(path, "3")  # error: arg-type
    read_binary.sync(path).encode()  # error: attr-defined
    BgProcess().send.sync("x", "soon")  # error: arg-type
    BgProcess().send.sync()  # error: call-arg
    BgProcess().aclose.sync("soon")  # error: arg-type
    read_binary.sync(path, lenght=3)  # error: call-arg
    asyn(plain)  # error: arg-type
    await gather(3, context_vars={"async": True})  # error: arg-type
    timeout()  # error: call-arg
    mt.aio.read_binry(path)  # error: attr-defined
