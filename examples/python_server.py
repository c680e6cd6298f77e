import asyncio
import os

import numpy

import framecall

os.makedirs("received", exist_ok=True)  # a folder of its own: what peers write must not lie where code is loaded from
server = framecall.Server("127.0.0.1:8080", root="received")  # root: file.put and uploads go there


@server.method
def add(a: float, b: float = 1.0) -> float:  # checked, by place or by name; rpc.discover tells all of it
    return a + b


@server.method
def scale(body: numpy.ndarray, factor: float) -> numpy.ndarray:  # arrays in, arrays out, without pickle
    return body * factor


@server.method
async def slow_square(x: int) -> int:  # on an asyncio loop; a caller that gives up cancels it
    await asyncio.sleep(0.1)
    return x * x


@server.method
def countdown(start: int):  # a stream, as fast as the caller takes it
    yield from range(start, 0, -1)


@server.handler
def tell(request: framecall.Request) -> framecall.Response:  # everything there is about a call
    return framecall.Response({"from": request.peer, "bytes": request.body.nbytes}, metadata={"seen": "yes"})


print("listening on", server.address, flush=True)
server.run()  # until Ctrl-C or SIGTERM; calls under way are answered first
