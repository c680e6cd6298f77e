import asyncio
import sys

import framecall.aio


async def main(address):
    async with framecall.aio.Client(address) as client:  # one connection, many calls in flight
        print(await asyncio.gather(*(client.call("slow_square", x) for x in range(10))))
        async for part in client.stream("countdown", [3]):
            print(part.value)
        try:
            await asyncio.wait_for(client.call("slow_square", 5), 0.01)  # cancelled over there, too
        except asyncio.TimeoutError:
            print("too slow")


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8080"))
