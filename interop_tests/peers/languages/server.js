// A server in JavaScript: Node 18 and later, nothing but its standard library.
//
//     ROOT=folder node server.js [PORT]    prints `listening tcp 127.0.0.1:PORT`, 0 or none: a free port
//
// A frame is a 4-byte little-endian length, so many bytes of JSON, and as many raw bytes as the JSON announces. Every
// connection is an async function, which answers one frame after the other. What is no frame closes its connection, and
// no other.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const net = require('net');
const path = require('path');

const MAX_HEADER = 1 << 20, MAX_BODY = 64 << 20, MAX_FILE = 1 << 30, MAX_COUNT = 1000000;
const PARSE_ERROR = -32700, INVALID_REQUEST = -32600, METHOD_NOT_FOUND = -32601, INVALID_PARAMS = -32602;
const INTERNAL_ERROR = -32603, NOT_FOUND = -32045, RESOURCE_EXHAUSTED = -32048, OUT_OF_RANGE = -32051;
const STATUS_NAMES = {[NOT_FOUND]: 'NOT_FOUND', [OUT_OF_RANGE]: 'OUT_OF_RANGE',
                      [RESOURCE_EXHAUSTED]: 'RESOURCE_EXHAUSTED'};
const ROOT = process.env.ROOT || '.';
const NOTHING = Buffer.alloc(0);

class Closed extends Error {}  // the client is gone

class Failure extends Error {  // becomes the error reply
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

const show = (value) => String(JSON.stringify(value)).slice(0, 200);
const isInteger = (value, lowest, highest) => Number.isSafeInteger(value) && value >= lowest && value <= highest;

// ---- frames

class Connection {
  constructor(socket) { this.socket = socket; }

  // Pieces of the next `size` bytes, as they come.
  async* pieces(size) {
    while (size > 0) {
      const piece = this.socket.read(Math.min(size, this.socket.readableLength || 1));
      if (piece) {
        size -= piece.length;
        yield piece;
      } else if (this.socket.readableEnded || this.socket.destroyed) {
        throw new Closed();
      } else {
        await this.event('readable', 'end', 'close');
      }
    }
  }

  async read(size) {
    const pieces = [];
    for await (const piece of this.pieces(size)) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  event(...names) {
    return new Promise((resolve) => {
      const done = () => {
        for (const name of names) this.socket.off(name, done);
        resolve();
      };
      for (const name of names) this.socket.on(name, done);
    });
  }

  async readHeader() {
    const length = (await this.read(4)).readInt32LE();
    if (length < 2 || length > MAX_HEADER) {
      throw new Failure(INVALID_REQUEST, `a header of ${length} bytes; 2 to ${MAX_HEADER} are taken`);
    }
    let header;
    try {
      header = JSON.parse(new TextDecoder('utf-8', {fatal: true, ignoreBOM: true}).decode(await this.read(length)));
    } catch (problem) {
      if (problem instanceof Closed) throw problem;
      throw new Failure(PARSE_ERROR, `the header is no JSON: ${problem.message}`);
    }
    if (typeof header !== 'object' || header === null || Array.isArray(header)) {
      throw new Failure(INVALID_REQUEST, 'the header is no object');
    }
    return header;
  }

  async send(header, body = NOTHING) {
    if (body.length > 0) header.body_size = body.length;
    const text = Buffer.from(JSON.stringify(header));
    const prefix = Buffer.alloc(4);
    prefix.writeInt32LE(text.length);
    this.socket.write(Buffer.concat([prefix, text]));
    // A client that does not read is not read from.
    if (!this.socket.write(body) && !this.socket.destroyed) await this.event('drain', 'close');
  }

  // Says why, and drops what still comes: a close with unread bytes would destroy the reply on its way.
  async refuse(failure) {
    await this.send(errorReply(null, failure));
    this.socket.end();
    this.socket.setTimeout(5000, () => this.socket.destroy());
    for await (const piece of this.pieces(64 << 20)) void piece;
  }
}

function errorReply(id, failure) {
  const error = {code: failure.code, message: failure.message};
  if (STATUS_NAMES[failure.code]) error.data = {status: STATUS_NAMES[failure.code]};
  return {jsonrpc: '2.0', id, error};
}

// ---- files

// One plain path component, and nothing else.
function pathOf(name) {
  const plain = typeof name === 'string' && name !== '' && Buffer.byteLength(name) <= 255 &&
                !['.', '..', '.framecall'].includes(name) &&
                !/[/\\\x00-\x1f\x7f-\x9f]|\p{Cs}|^[A-Za-z]:/u.test(name);
  if (!plain) throw new Failure(INVALID_PARAMS, `not a file name: ${show(name)}`);
  return path.join(ROOT, name);
}

// The file gets its name when it is whole.
async function store(connection, name, size) {
  const target = pathOf(name);
  if (!isInteger(size, 0, MAX_FILE)) throw new Failure(INVALID_REQUEST, `a file of ${show(size)} bytes`);
  const part = path.join(ROOT, `.part-${crypto.randomUUID()}`);
  const file = await fs.promises.open(part, 'wx');
  try {
    for await (const piece of connection.pieces(size)) await file.appendFile(piece);
    await file.close();
    await fs.promises.rename(part, target);
  } catch (problem) {
    await file.close().catch(() => {});
    await fs.promises.unlink(part).catch(() => {});
    throw problem;
  }
}

async function get({params}) {
  const target = pathOf(params.name);
  const status = await fs.promises.lstat(target).catch(() => null);
  if (!status || !status.isFile()) throw new Failure(NOT_FOUND, `no file ${show(params.name)}`);
  const file = await fs.promises.open(target, 'r');
  try {
    const {size, mtimeMs} = await file.stat();
    const offset = params.offset ?? 0, length = params.length ?? size - offset;
    if (!isInteger(offset, 0, size) || !isInteger(length, 0, size - offset)) {
      throw new Failure(OUT_OF_RANGE, `the file has ${size} bytes`);
    }
    if (length > MAX_BODY) throw new Failure(RESOURCE_EXHAUSTED, `ask for at most ${MAX_BODY} bytes at a time`);
    const {bytesRead, buffer} = await file.read(Buffer.alloc(length), 0, length, offset);
    if (bytesRead < length) throw new Failure(INTERNAL_ERROR, 'the file shrank while it was read');
    return {result: {name: params.name, size, offset, length, mtime: Math.floor(mtimeMs / 1000)}, body: buffer};
  } finally {
    await file.close();
  }
}

// ---- methods: each returns the result and the body of the reply, or of its last frame

function upper({body}) {
  return {result: null, body: body.map((byte) => (byte >= 0x61 && byte <= 0x7a ? byte - 32 : byte))};
}

function echo({header, body}) { return {result: header.params ?? null, body}; }

function add({params}) {
  const numbers = Array.isArray(params) ? params : [params.a, params.b];
  if (numbers.length !== 2 || !numbers.every((number) => isInteger(number, -(2 ** 52), 2 ** 52))) {
    throw new Failure(INVALID_PARAMS, 'expected two integers, a and b');
  }
  return {result: numbers[0] + numbers[1]};
}

function say({params}) {
  if (typeof params.text !== 'string') throw new Failure(INVALID_PARAMS, 'text: expected a string');
  return {result: params.text};
}

async function count({header, params, reply}) {
  if (header.stream !== true) {
    throw new Failure(INVALID_REQUEST, 'the answer is a stream, and the request lacks "stream": true');
  }
  if (!isInteger(params.n, 0, MAX_COUNT)) throw new Failure(INVALID_PARAMS, `n: expected an integer 0 to ${MAX_COUNT}`);
  for (let number = 0; number < params.n; ++number) await reply({result: number, more: true});
  return {result: null};
}

const METHODS = new Map(Object.entries({upper, echo, add, say, count, 'file.get': get}));

// ---- connections

async function answer(connection, header, body) {
  const params = header.params ?? {};
  const reply = async (members, bytes) => {  // a notification gets no answer
    if ('id' in header) await connection.send({jsonrpc: '2.0', id: header.id, ...members}, bytes);
  };
  try {
    const method = METHODS.get(header.method);
    if (!method) throw new Failure(METHOD_NOT_FOUND, `no method ${show(header.method)}`);
    if (typeof params !== 'object') throw new Failure(INVALID_REQUEST, 'params are neither an array nor an object');
    const {result, body: bytes} = await method({header, params, body, reply});
    await reply({result}, bytes);
  } catch (problem) {
    if (problem instanceof Closed) throw problem;
    const failure = problem instanceof Failure ? problem : new Failure(INTERNAL_ERROR, problem.message);
    await reply({error: errorReply(header.id, failure).error});
  }
}

async function serveFrame(connection) {
  const header = await connection.readHeader();
  if ('result' in header || 'error' in header || 'item' in header) {
    throw new Failure(INVALID_REQUEST, 'neither a request nor an upload');
  }
  if ('method' in header) {
    const size = header.body_size ?? 0;
    if (!isInteger(size, 0, MAX_BODY)) {
      throw new Failure(INVALID_REQUEST, `a body of ${show(size)} bytes; ${MAX_BODY} are taken`);
    }
    if (header.more) throw new Failure(INVALID_REQUEST, 'no method here takes parts');
    await answer(connection, header, await connection.read(size));
  } else {
    const size = header.file_size ?? header.file_siz ?? header.filesize ?? header.total_size;
    await store(connection, header.file_name ?? header.filename, size);
  }
}

async function serve(socket) {
  const connection = new Connection(socket);
  socket.setNoDelay(true);
  socket.on('error', () => {});  // 'close' follows, and ends the loop
  try {
    for (;;) await serveFrame(connection);
  } catch (problem) {
    if (problem instanceof Closed) return;
    const failure = problem instanceof Failure ? problem : new Failure(INTERNAL_ERROR, problem.message);
    await connection.refuse(failure).catch(() => {});
  } finally {
    socket.end(() => socket.destroy());
  }
}

process.on('SIGTERM', () => process.exit(0));
const server = net.createServer({allowHalfOpen: true}, serve);  // what a client still gets after its end() is ours to say
server.listen(Number(process.argv[2] ?? 0), '127.0.0.1', () => {
  console.log(`listening tcp 127.0.0.1:${server.address().port}`);
});
