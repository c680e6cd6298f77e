// A client in JavaScript: Node 18 and later, nothing but its standard library.
//
//     node client.js HOST PORT CASE...    prints `CASE ok` or `CASE failed: ...`; exit code 0, 1, or 2 for usage
//
// A frame is a 4-byte little-endian length, so many bytes of JSON, and as many raw bytes as the JSON announces.
// Environment: SHARED_SHA256 is what the file shared.bin of the server has to have (case get).
'use strict';

const crypto = require('crypto');
const net = require('net');

const MAX_HEADER = 1 << 20, MAX_BODY = 64 << 20;  // what we are willing to read
const PARSE_ERROR = -32700, INVALID_REQUEST = -32600, METHOD_NOT_FOUND = -32601;
const TEXT = 'naïve 你好 🚀';

class RemoteError extends Error {
  constructor(error) {
    super(`the server says: ${error.message} (${error.code})`);
    this.code = error.code;
  }
}

// What came is no frame: `code` is an error code of PROTOCOL.md, or 'truncated' for the end inside a frame.
class FrameError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

// ---- the wire

const utf8 = new TextDecoder('utf-8', {fatal: true, ignoreBOM: true});

function frame(text, body) {
  const header = Buffer.from(text, 'utf8');
  const prefix = Buffer.alloc(4);
  prefix.writeInt32LE(header.length);
  return Buffer.concat([prefix, header, body]);
}

// How many bytes follow a header.
function bodySize(header) {
  const isCall = ['method', 'result', 'error', 'item'].some((key) => Object.hasOwn(header, key));
  const keys = isCall ? ['body_size'] : ['file_size', 'file_siz', 'filesize', 'total_size'];
  const [size = 0, ...others] = keys.filter((key) => Object.hasOwn(header, key)).map((key) => header[key]);
  if (!Number.isInteger(size) || size < 0 || size > MAX_BODY || others.some((other) => other !== size)) {
    throw new FrameError(INVALID_REQUEST, `a body of ${size} bytes`);
  }
  return size;
}

class Connection {
  // `socket`: anything that gives its bytes to `for await`.
  constructor(socket) {
    this.socket = socket;
    this.chunks = socket[Symbol.asyncIterator]();
    this.received = Buffer.alloc(0);
    this.lastId = 0;
  }

  static open(host, port) {
    return new Promise((resolve, reject) => {
      const socket = net.connect(port, host);
      socket.once('error', reject);
      socket.once('connect', () => resolve(new Connection(socket)));
      socket.setNoDelay(true);
      socket.setTimeout(30000, () => socket.destroy(new Error('nothing came for 30 s')));
    });
  }

  close() { this.socket.destroy(); }

  send(text, body = Buffer.alloc(0)) {
    this.socket.write(frame(text, body));
  }

  // The next `size` bytes; undefined when the stream ended before the first of them.
  async read(size) {
    const pieces = [this.received];
    let have = this.received.length;
    while (have < size) {
      const {value, done} = await this.chunks.next();
      if (done && have === 0) return undefined;
      if (done) throw new FrameError('truncated', `the server closed the connection, ${size - have} bytes too early`);
      pieces.push(value);
      have += value.length;
    }
    const all = Buffer.concat(pieces);
    this.received = all.subarray(size);
    return all.subarray(0, size);
  }

  // The next frame, undefined at the end of the stream.
  async receive(maxHeader = MAX_HEADER) {
    const prefix = await this.read(4);
    if (prefix === undefined) return undefined;
    const length = prefix.readInt32LE();
    if (length < 2 || length > maxHeader) throw new FrameError(INVALID_REQUEST, `a header of ${length} bytes`);
    const text = await this.read(length);
    if (text === undefined) throw new FrameError('truncated', 'the server closed the connection inside a frame');
    let header;
    try {
      header = JSON.parse(utf8.decode(text));
    } catch (problem) {
      throw new FrameError(PARSE_ERROR, problem.message);
    }
    if (Object.prototype.toString.call(header) !== '[object Object]') {
      throw new FrameError(INVALID_REQUEST, 'a header that is no object');
    }
    const size = bodySize(header);
    const body = await this.read(size);
    if (body === undefined) {
      throw new FrameError('truncated', `the server closed the connection before a body of ${size} bytes`);
    }
    return {header, body};
  }

  request(method, {params, body = Buffer.alloc(0), stream, escaped = false} = {}) {
    const header = {jsonrpc: '2.0', id: ++this.lastId, method, params, stream};  // undefined members do not appear
    if (body.length > 0) header.body_size = body.length;
    const text = JSON.stringify(header);
    this.send(escaped ? escape(text) : text, body);
  }

  // The next frame of the reply to the last request.
  async readReply() {
    const frame = await this.receive();
    if (frame === undefined) throw new Error('the server closed the connection');
    if (frame.header.error) throw new RemoteError(frame.header.error);
    expect('id of the reply', frame.header.id, this.lastId);
    return frame;
  }

  async call(method, options) {
    this.request(method, options);
    const {header, body} = await this.readReply();
    return {result: header.result, body};
  }
}

// JSON in ASCII: every UTF-16 unit beyond it as \uxxxx, which is what JSON wants for astral characters, too.
function escape(text) {
  return text.replace(/[^\x00-\x7e]/g, (unit) => '\\u' + unit.charCodeAt(0).toString(16).padStart(4, '0'));
}

// Bytes that differ everywhere; every client of this folder sends the same ones.
function pattern(size) {
  const bytes = Buffer.alloc(size);
  for (let i = 0; i < size; ++i) bytes[i] = i ^ (i >> 8) ^ (i >> 16);
  return bytes;
}

// ---- the cases

function expect(what, got, wanted) {
  const show = (value) => String(JSON.stringify(value)).slice(0, 200);
  if (show(got) !== show(wanted)) throw new Error(`${what}: expected ${show(wanted)}, got ${show(got)}`);
}

async function upper(connection) {
  const {result, body} = await connection.call('upper', {body: Buffer.from('hello, world')});
  expect('result', result, null);
  expect('body', body.toString(), 'HELLO, WORLD');
}

async function add(connection) {
  expect('by name', (await connection.call('add', {params: {a: 2, b: 3}})).result, 5);
  expect('by place', (await connection.call('add', {params: [2, 3]})).result, 5);
}

async function unicode(connection) {
  expect('raw UTF-8', (await connection.call('say', {params: {text: TEXT}})).result, TEXT);
  expect('escaped', (await connection.call('say', {params: {text: TEXT}, escaped: true})).result, TEXT);
}

async function big(connection) {
  const sent = pattern(5 << 20);
  const {body} = await connection.call('echo', {body: sent});
  expect('size of the body', body.length, sent.length);
  expect('the body is what was sent', body.equals(sent), true);
}

async function error(connection) {
  let code = 'a result';
  try {
    await connection.call('no.such.method');
  } catch (problem) {
    if (!(problem instanceof RemoteError)) throw problem;
    code = problem.code;
  }
  expect('error code', code, METHOD_NOT_FOUND);
  await upper(connection);  // the connection goes on
}

async function stream(connection) {
  connection.request('count', {params: {n: 5}, stream: true});
  const values = [];
  for (let more = true; more;) {
    const {header, body} = await connection.readReply();
    more = header.more === true;
    if (more || header.result !== null || body.length > 0) values.push(header.result);  // the end alone is no part
  }
  expect('parts', values, [0, 1, 2, 3, 4]);
}

async function upload(connection) {
  const body = pattern(100000);
  connection.send(JSON.stringify({file_name: 'upload-javascript.bin', file_size: body.length}), body);
  connection.socket.end();
  const said = await connection.receive();  // success is silent, a refusal is an error frame
  expect('what the server says', said && said.header, undefined);
}

async function get(connection) {
  const {result, body} = await connection.call('file.get', {params: {name: 'shared.bin'}});
  expect('size', result.size, body.length);
  expect('SHA-256', crypto.createHash('sha256').update(body).digest('hex'), process.env.SHARED_SHA256);
}

const CASES = {upper, add, unicode, big, error, stream, upload, get};

async function main([host, port, ...names]) {
  if (names.length === 0 || !/^\d+$/.test(port) || !names.every((name) => Object.hasOwn(CASES, name))) {
    console.error('usage: node client.js HOST PORT CASE...\ncases: ' + Object.keys(CASES).join(' '));
    return 2;
  }
  let failed = false;
  for (const name of names) {
    let connection;
    try {
      connection = await Connection.open(host, Number(port));
      await CASES[name](connection);
      console.log(`${name} ok`);
    } catch (problem) {
      failed = true;
      console.log(`${name} failed: ${problem.message}`);
    } finally {
      if (connection) connection.close();
    }
  }
  return failed ? 1 : 0;
}

if (require.main === module) main(process.argv.slice(2)).then((code) => { process.exitCode = code; });

module.exports = {Connection, escape, frame};  // for vectors.js
