"""grpcio with four threads for the handlers. Prints its port, as it listens for IPv6 too."""

from concurrent import futures

import grpc
from echo_message import Blob


def unary(request, context):
    return Blob(body=request.body)


handler = grpc.unary_unary_rpc_method_handler(unary, Blob.FromString, Blob.SerializeToString)
server = grpc.server(futures.ThreadPoolExecutor(4))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", {"Unary": handler}),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print("port", port, flush=True)
server.wait_for_termination()
