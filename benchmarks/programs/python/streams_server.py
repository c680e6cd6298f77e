"""asyncio streams, framecall's wire by hand. --loop asyncio or uvloop."""

import asyncio
import json

import load
import loops

args = load.arguments(loop="asyncio")


async def session(reader, writer):
    try:
        while True:
            (size,) = load.LENGTH.unpack(await reader.readexactly(4))
            header = json.loads(await reader.readexactly(size))
            writer.write(load.reply_to(header, await reader.readexactly(header["body_size"])))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(session, "127.0.0.1", args.port, limit=4 << 20, backlog=4096)
    await server.serve_forever()


loops.run(args.loop, main())
