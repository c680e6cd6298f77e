"""The message of ../echo.proto, made at run time, as generated code is for one version of protobuf."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_file = descriptor_pb2.FileDescriptorProto(name="echo.proto", package="bench", syntax="proto3")
_field = _file.message_type.add(name="Blob").field.add(name="body", number=1)
_field.type, _field.label = _field.TYPE_BYTES, _field.LABEL_OPTIONAL
_pool = descriptor_pool.DescriptorPool()
_pool.Add(_file)
Blob = message_factory.GetMessageClass(_pool.FindMessageTypeByName("bench.Blob"))
