// Does client.js read and write frames as vectors.json says? Node 18 and later.
//
//     node vectors.js FILE    prints what agrees, and what is outside of JavaScript's JSON; exit code 1 for other differences
'use strict';

const fs = require('fs');
const {Connection, escape, frame} = require('./client.js');

// Cases in which the library's JSON is another one than Python's, by name: they alone may disagree, and are printed.
const OUTSIDE = {
  'numbers are doubles': /^(integers|id beyond 64|integer of 4300|negative zeros|floats)/,
  '1.0 is 1': /^(file|body)_size (1\.0|0\.0|1e2|-0\.0)|^aliases 3 and 3\.0/,
  'no NaN, no Infinity': /^(NaN and|not an object: NaN|(file|body)_size (NaN|Infinity))/,
  'nesting without a limit': /^1001 levels/,
  'bodies above 64 MiB': /^largest (file|body)_size/,
};

// As Python's json.dumps writes it: ASCII, a blank behind each comma and colon.
function dumps(value) {
  const spaced = (token, string) => string ?? `${token} `;
  return escape(JSON.stringify(value).replace(/("[^"\\]*(?:\\.[^"\\]*)*")|[,:]/g, spaced));
}

// The messages in `data`, each as the header's JSON and the body's hex, and behind them how it ends.
async function readAll(data, maxHeader) {
  const step = data.length < 5000 ? 1 : 1 << 16;  // byte by byte: no boundary may be relied on
  const connection = new Connection((async function* () {
    for (let at = 0; at < data.length; at += step) yield data.subarray(at, at + step);
  })());
  const read = [];
  try {
    for (let next; (next = await connection.receive(maxHeader));) read.push([dumps(next.header), next.body.toString('hex')]);
  } catch (problem) {
    return [...read, problem.code ?? problem.message];
  }
  return [...read, 'closed'];
}

async function vectors(path) {
  const text = (value) => [value].flat().map((item) => Array.isArray(item) ? item[0].repeat(item[1]) : item).join('');
  const bytes = (value) => Buffer.from(text(value), 'hex');
  const agreed = {decode: 0, encode: 0}, outside = {};
  let failed = false;
  const judge = (kind, name, got, wanted) => {
    const reason = Object.keys(OUTSIDE).find((key) => OUTSIDE[key].test(name));
    if (JSON.stringify(got) === JSON.stringify(wanted)) {
      ++agreed[kind];
    } else if (reason !== undefined) {
      (outside[reason] ??= []).push(`"${name}"`);
    } else {
      failed = true;
      console.log(`${kind} ${name}: expected ${JSON.stringify(wanted)}, got ${JSON.stringify(got)}`.slice(0, 500));
    }
  };
  const {decode, encode} = JSON.parse(fs.readFileSync(path, 'utf8'));
  for (const {name, hex, max_header, messages, end} of decode) {
    const got = await readAll(bytes(hex), max_header);
    let last = end.error ?? end;
    if (last === 'need_data') last = got.at(-1) === 'closed' ? 'closed' : 'truncated';  // it learns of a need from the end
    judge('decode', name, got, [...messages.map(({header, body}) => [text(header), text(body)]), last]);
  }
  for (const {name, header_text, body, hex} of encode) {
    let got;
    try {
      got = frame(dumps(JSON.parse(text(header_text))), bytes(body)).toString('hex');
    } catch (problem) {
      got = problem.message;
    }
    judge('encode', name, got, text(hex));
  }
  const reasons = Object.entries(outside).map(([reason, names]) => `${reason} (${names.join(', ')})`);
  console.log(`vectors: ${agreed.decode} decode, ${agreed.encode} encode agree; ` +
              `${Object.values(outside).flat().length} outside: ${reasons.join('; ')}`);
  return failed ? 1 : 0;
}

if (process.argv.length !== 3) {
  console.error('usage: node vectors.js FILE');
  process.exit(2);
}
vectors(process.argv[2]).then((code) => { process.exitCode = code; });
