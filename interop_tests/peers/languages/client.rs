// A client in Rust, nothing but its standard library.
//
//     rustc -O client.rs && ./client HOST PORT CASE...
//
// prints `CASE ok` or `CASE failed: ...`; exit code 0, 1, or 2 for usage. A frame is a 4-byte little-endian length, so
// many bytes of JSON, and as many raw bytes as the JSON announces. The library has no JSON: `member` below finds a member
// of an object, and no more is needed. It has no SHA-256 either: SHARED_SIZE and SHARED_FNV1A in the environment (FNV-1a,
// 64 bits, hexadecimal) are what the file shared.bin of the server has to have (case get).

use std::fmt::{Debug, Display};
use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;
use std::{env, error, process};

pub const MAX_HEADER: i32 = 1 << 20; // what we are willing to read
const MAX_BODY: i64 = 64 << 20;
const TEXT: &str = "naïve 你好 🚀";

pub type Result<T> = std::result::Result<T, Box<dyn error::Error>>;

// ---- JSON

/// Bytes of the string that `text` begins with, both quotes included.
fn string_size(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Bytes of the value that `text` begins with. It is not judged, only measured.
pub fn value_size(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0);
    loop {
        match bytes.get(at)? {
            b'"' => at += string_size(&text[at..])?,
            b'{' | b'[' => (at, depth) = (at + 1, depth + 1),
            b'}' | b']' => (at, depth) = (at + 1, depth - 1),
            _ if depth > 0 => at += 1,
            _ => at += text[at..].find([',', ']', '}', ' ', '\t', '\r', '\n'])?,
        }
        if depth <= 0 {
            return Some(at).filter(|size| *size > 0);
        }
    }
}

/// The value of a member of an object, as JSON text. The key is one that is written without escapes.
pub fn member<'a>(object: &'a str, key: &str) -> Option<&'a str> {
    let mut rest = object.trim_start().strip_prefix('{')?;
    loop {
        rest = rest.trim_start();
        if !rest.starts_with('"') {
            return None;
        }
        let (name, behind) = rest.split_at(string_size(rest)?);
        rest = behind.trim_start().strip_prefix(':')?.trim_start();
        let (value, behind) = rest.split_at(value_size(rest)?);
        if &name[1..name.len() - 1] == key {
            return Some(value);
        }
        rest = behind.trim_start().strip_prefix(',')?;
    }
}

/// The text that a JSON string means.
pub fn unescape(string: &str) -> Option<String> {
    let mut units = Vec::new(); // UTF-16, as the escapes of JSON
    let mut characters = string.strip_prefix('"')?.strip_suffix('"')?.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
            continue;
        }
        units.push(match characters.next()? {
            'u' => {
                let digits: String = characters.by_ref().take(4).collect();
                u16::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 4)?
            }
            'b' => 8,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            other => other as u16,
        });
    }
    String::from_utf16(&units).ok()
}

/// A JSON string in ASCII.
fn escape(text: &str) -> String {
    text.encode_utf16()
        .map(|unit| if unit < 0x80 { char::from(unit as u8).to_string() } else { format!("\\u{unit:04x}") })
        .collect()
}

// ---- the wire

pub fn frame(header: &str, body: &[u8]) -> Vec<u8> {
    [&(header.len() as i32).to_le_bytes(), header.as_bytes(), body].concat()
}

/// The next frame; nothing when the stream ended before it. UnexpectedEof is the end inside a frame.
pub fn read_frame(from: &mut impl Read, max_header: i32) -> Result<Option<Reply>> {
    let mut first = Vec::new();
    if from.by_ref().take(1).read_to_end(&mut first)? == 0 {
        return Ok(None);
    }
    let mut others = [0; 3];
    from.read_exact(&mut others)?;
    let length = i32::from_le_bytes([first[0], others[0], others[1], others[2]]);
    if !(2..=max_header).contains(&length) {
        return Err(format!("a header of {length} bytes").into());
    }
    let mut header = vec![0; length as usize];
    from.read_exact(&mut header)?;
    let header = String::from_utf8(header)?;
    let mut body = vec![0; body_size(&header)?];
    from.read_exact(&mut body)?;
    Ok(Some(Reply { header, body }))
}

/// How many bytes follow a header.
fn body_size(header: &str) -> Result<usize> {
    let is_call = ["method", "result", "error", "item"].iter().any(|key| member(header, key).is_some());
    let keys: &[&str] = if is_call { &["body_size"] } else { &["file_size", "file_siz", "filesize", "total_size"] };
    let mut size = None;
    for text in keys.iter().filter_map(|key| member(header, key)) {
        let one = text.parse::<i64>().ok().filter(|one| (0..=MAX_BODY).contains(one) && size.unwrap_or(*one) == *one);
        size = Some(one.ok_or_else(|| format!("a bad size: {header}"))?);
    }
    if size.is_none() && !header.trim_start().starts_with('{') {
        return Err(format!("a header that is no object: {header}").into());
    }
    Ok(size.unwrap_or(0) as usize)
}

struct Connection {
    socket: TcpStream,
    reader: BufReader<TcpStream>,
    last_id: u32,
}

pub struct Reply {
    header: String,
    pub body: Vec<u8>,
}

impl Reply {
    fn result(&self) -> &str {
        member(&self.header, "result").unwrap_or("nothing")
    }
}

impl Connection {
    fn open(host: &str, port: u16) -> Result<Connection> {
        let socket = TcpStream::connect((host, port))?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        socket.set_write_timeout(Some(Duration::from_secs(30)))?;
        Ok(Connection { reader: BufReader::new(socket.try_clone()?), socket, last_id: 0 })
    }

    fn send(&mut self, header: &str, body: &[u8]) -> Result<()> {
        Ok(self.socket.write_all(&frame(header, body))?)
    }

    fn receive(&mut self) -> Result<Reply> {
        read_frame(&mut self.reader, MAX_HEADER)?.ok_or_else(|| "the server closed the connection".into())
    }

    /// Sends a request; `members`: what it has beside the usual, such as `, "params": [2, 3]`.
    fn request(&mut self, method: &str, members: &str, body: &[u8]) -> Result<()> {
        self.last_id += 1;
        let (id, size) = (self.last_id, body.len());
        self.send(
            &format!(r#"{{"jsonrpc": "2.0", "id": {id}, "method": "{method}", "body_size": {size}{members}}}"#),
            body,
        )
    }

    /// The next frame of the reply to the last request, which may be an error.
    fn read_reply_or_error(&mut self) -> Result<Reply> {
        let reply = self.receive()?;
        expect("id of the reply", member(&reply.header, "id").unwrap_or("nothing"), &self.last_id.to_string())?;
        Ok(reply)
    }

    fn read_reply(&mut self) -> Result<Reply> {
        let reply = self.read_reply_or_error()?;
        match member(&reply.header, "error") {
            Some(error) => Err(format!("the server says: {error}").into()),
            None => Ok(reply),
        }
    }

    fn call(&mut self, method: &str, members: &str, body: &[u8]) -> Result<Reply> {
        self.request(method, members, body)?;
        self.read_reply()
    }
}

/// Bytes that differ everywhere; every client of this folder sends the same ones.
fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}

// ---- the cases

fn expect<T: PartialEq + Debug>(what: impl Display, got: T, wanted: T) -> Result<()> {
    if got == wanted {
        return Ok(());
    }
    Err(format!("{what}: expected {wanted:?}, got {got:?}").into())
}

fn upper(connection: &mut Connection) -> Result<()> {
    let body = connection.call("upper", "", b"hello, world")?.body;
    expect("body", String::from_utf8_lossy(&body).as_ref(), "HELLO, WORLD")
}

fn add(connection: &mut Connection) -> Result<()> {
    for params in [r#"{"a": 2, "b": 3}"#, "[2, 3]"] {
        let reply = connection.call("add", &format!(r#", "params": {params}"#), b"")?;
        expect(params, reply.result(), "5")?;
    }
    Ok(())
}

fn unicode(connection: &mut Connection) -> Result<()> {
    for spelling in [TEXT.to_string(), escape(TEXT)] {
        let reply = connection.call("say", &format!(r#", "params": {{"text": "{spelling}"}}"#), b"")?;
        expect(&spelling, unescape(reply.result()).as_deref(), Some(TEXT))?;
    }
    Ok(())
}

fn big(connection: &mut Connection) -> Result<()> {
    let sent = pattern(5 << 20);
    let body = connection.call("echo", "", &sent)?.body;
    expect("size of the body", body.len(), sent.len())?;
    expect("the body is what was sent", body == sent, true)
}

fn error(connection: &mut Connection) -> Result<()> {
    connection.request("no.such.method", "", b"")?;
    let header = connection.read_reply_or_error()?.header;
    let code = member(&header, "error").and_then(|error| member(error, "code"));
    expect("error code", code, Some("-32601"))?;
    upper(connection) // the connection goes on
}

fn stream(connection: &mut Connection) -> Result<()> {
    connection.request("count", r#", "params": {"n": 5}, "stream": true"#, b"")?;
    let mut values = Vec::new();
    loop {
        let reply = connection.read_reply()?;
        let more = member(&reply.header, "more") == Some("true");
        if more || reply.result() != "null" || !reply.body.is_empty() {
            values.push(reply.result().to_string()); // the end alone is no part
        }
        if !more {
            return expect("parts", values.join(" ").as_str(), "0 1 2 3 4");
        }
    }
}

fn upload(connection: &mut Connection) -> Result<()> {
    connection.send(r#"{"file_name": "upload-rust.bin", "file_size": 100000}"#, &pattern(100000))?;
    connection.socket.shutdown(Shutdown::Write)?;
    let mut said = Vec::new(); // success is silent, a refusal is an error frame
    connection.reader.by_ref().take(MAX_HEADER as u64).read_to_end(&mut said)?;
    expect("what the server says", String::from_utf8_lossy(&said).as_ref(), "")
}

fn get(connection: &mut Connection) -> Result<()> {
    let body = connection.call("file.get", r#", "params": {"name": "shared.bin"}"#, b"")?.body;
    let sum =
        body.iter().fold(0xcbf29ce484222325, |sum: u64, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100000001b3));
    expect("size", body.len().to_string(), env::var("SHARED_SIZE")?)?;
    expect("FNV-1a", format!("{sum:016x}"), env::var("SHARED_FNV1A")?)
}

type Case = fn(&mut Connection) -> Result<()>;
const CASES: [(&str, Case); 8] = [
    ("upper", upper),
    ("add", add),
    ("unicode", unicode),
    ("big", big),
    ("error", error),
    ("stream", stream),
    ("upload", upload),
    ("get", get),
];

fn usage() -> ! {
    eprintln!("usage: client HOST PORT CASE...\ncases: {}", CASES.map(|(name, _)| name).join(" "));
    process::exit(2);
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let port = arguments.get(2).and_then(|port| port.parse::<u16>().ok()).unwrap_or_else(|| usage());
    let find = |wanted: &String| CASES.iter().find(|(name, _)| name == wanted).unwrap_or_else(|| usage());
    let cases: Vec<&(&str, Case)> = arguments[3..].iter().map(find).collect();
    if cases.is_empty() {
        usage();
    }
    let mut failed = false;
    for (name, case) in cases {
        match Connection::open(&arguments[1], port).and_then(|mut connection| case(&mut connection)) {
            Ok(()) => println!("{name} ok"),
            Err(problem) => {
                failed = true;
                println!("{name} failed: {problem}");
            }
        }
    }
    process::exit(failed.into());
}
