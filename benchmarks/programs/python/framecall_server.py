"""framecall.Server. --handlers def or async; --loop asyncio or uvloop, for the latter."""

import time

import framecall
import load

args = load.arguments(handlers="def", loop="asyncio")
factory = None
if args.loop == "uvloop":
    import uvloop

    factory = uvloop.new_event_loop
server = framecall.Server(f"127.0.0.1:{args.port}", loop_factory=factory)

if args.handlers == "def":

    @server.method
    def upper(body: bytes) -> bytes:
        return body.upper()

else:

    @server.method
    async def upper(body: bytes) -> bytes:
        return body.upper()


@server.method
def burn(seconds: float) -> int:
    """Keeps the interpreter's lock as busy as Python can."""
    end, turns = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        turns += sum(range(100)) > 0
    return turns


server.run()
