"""grpcio: the blocking call, or futures in batches."""

import grpc
import load
from echo_message import Blob

args = load.arguments()
channel = grpc.insecure_channel(f"127.0.0.1:{args.port}")
unary = channel.unary_unary("/bench.Echo/Unary", Blob.SerializeToString, Blob.FromString)


def call(body):
    return unary(Blob(body=body)).body


def call_all(bodies):
    return [one.result().body for one in [unary.future(Blob(body=body)) for body in bodies]]


if args.in_flight > 1:
    load.in_batches(args, call_all, lambda body: body)
else:
    load.one_at_a_time(args, call, lambda body: body)
channel.close()
