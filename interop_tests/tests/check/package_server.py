"""A server of the framecall package with Python handlers, for `framecall check`: package_server.py ROOT {def,async}."""
import signal
import sys

import framecall

root, kind = sys.argv[1:]
server = framecall.Server("127.0.0.1:0", root=root)

if kind == "async":
    @server.handler
    async def echo(request):
        return framecall.Response(request.params, request.body)

    @server.handler
    async def upper(request):
        return framecall.Response(body=bytes(request.body).upper())
else:
    @server.handler
    def echo(request):
        return framecall.Response(request.params, request.body)

    @server.handler
    def upper(request):
        return framecall.Response(body=bytes(request.body).upper())

with server:
    print("listening tcp", server.address, flush=True)
    signal.pause()
