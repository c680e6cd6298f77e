// Does client.rs read and write frames as vectors.json says?
//
//     rustc -O vectors.rs && ./vectors FILE    prints what agrees, and what is outside; exit code 1 if anything else differs
//
// The client has no JSON library, and so this has none: how many messages there are, their bodies and the end are compared,
// headers are not. A refusal is a refusal, whatever its code. What is written is the text of a header as it stands.

use std::{env, fs, io, process};

#[path = "client.rs"]
#[allow(dead_code)]
mod client;
use client::{frame, member, read_frame, unescape, value_size, Result, MAX_HEADER};

// Cases that a finder of members gets wrong, by the beginning of `decode NAME.` or by the end. They alone may disagree, and
// are printed.
const PARSE_ERROR: &str = r#"{"error": -32700}"#;
const RESPELLED: [&str; 6] = [
    "encode request.",
    "encode upload with the published typo.",
    "encode nested and empty containers.",
    "encode escapes.",
    "encode integers.",
    "encode floats.",
];
const OUTSIDE: [(&str, &[&str]); 4] = [
    ("what is no JSON is not noticed", &[PARSE_ERROR]),
    ("the first of duplicates counts", &["decode duplicate size: "]),
    ("bodies above 64 MiB", &["decode largest file_size", "decode largest body_size"]),
    ("json.dumps spells it anew", &RESPELLED),
];

/// The items of a JSON array, as JSON text.
fn items(array: &str) -> Vec<&str> {
    let mut rest = array[1..].trim_start();
    let mut found = Vec::new();
    while let Some(size) = value_size(rest).filter(|_| !rest.starts_with(']')) {
        found.push(&rest[..size]);
        rest = rest[size..].trim_start().trim_start_matches(',').trim_start();
    }
    found
}

/// A text, or a list of texts and [text, count], as one text.
fn text(value: &str) -> Option<String> {
    if value.starts_with('"') {
        return unescape(value);
    }
    let parts = items(value);
    match parts.get(1).and_then(|count| count.parse().ok()) {
        Some(count) => Some(text(parts[0])?.repeat(count)),
        None => parts.into_iter().map(text).collect(),
    }
}

fn text_of(case: &str, key: &str) -> Result<String> {
    Ok(member(case, key).and_then(text).ok_or_else(|| format!("no {key}: {case:.100}"))?)
}

fn unhex(hex: &str) -> Result<Vec<u8>> {
    (0..hex.len()).step_by(2).map(|at| Ok(u8::from_str_radix(&hex[at..at + 2], 16)?)).collect()
}

fn as_hex(data: &[u8]) -> String {
    data.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bodies of the messages in `data`, and behind them how it ends.
fn read_all(mut data: &[u8], max_header: i32) -> Vec<String> {
    let mut read = Vec::new();
    loop {
        let end = match read_frame(&mut data, max_header) {
            Ok(Some(message)) => {
                read.push(as_hex(&message.body));
                continue;
            }
            Ok(None) => "closed",
            Err(problem) => match problem.downcast_ref::<io::Error>() {
                Some(problem) if problem.kind() == io::ErrorKind::UnexpectedEof => "truncated",
                _ => "refused",
            },
        };
        read.push(end.to_string());
        return read;
    }
}

fn check_decode(case: &str) -> Result<bool> {
    let max_header = member(case, "max_header").map_or(Ok(MAX_HEADER), str::parse)?;
    let got = read_all(&unhex(&text_of(case, "hex")?)?, max_header);
    let messages = items(member(case, "messages").unwrap_or("[]"));
    let mut wanted = messages.into_iter().map(|message| text_of(message, "body")).collect::<Result<Vec<String>>>()?;
    let closed = got.last().map(String::as_str) == Some("closed");
    let end = match member(case, "end").unwrap_or("") {
        "\"closed\"" => "closed",
        "\"need_data\"" if closed => "closed", // this reader learns of a need when the stream ends
        "\"need_data\"" | r#"{"error": "truncated"}"# => "truncated",
        _ => "refused",
    };
    wanted.push(end.to_string());
    Ok(got == wanted)
}

fn check_encode(case: &str) -> Result<bool> {
    let body = unhex(&text_of(case, "body")?)?;
    Ok(as_hex(&frame(&text_of(case, "header_text")?, &body)) == text_of(case, "hex")?)
}

fn run(path: &str) -> Result<bool> {
    let file = fs::read_to_string(path)?;
    let (mut agreed, mut failed) = ([0, 0], false);
    let mut outside = OUTSIDE.map(|_| Vec::new());
    let kinds: [(&str, fn(&str) -> Result<bool>); 2] = [("decode", check_decode), ("encode", check_encode)];
    for (kind, (key, check)) in kinds.into_iter().enumerate() {
        for case in items(member(&file, key).ok_or("no cases")?) {
            let name = text_of(case, "name")?;
            let named = |part: &&str| format!("{key} {name}.").starts_with(part) || member(case, "end") == Some(part);
            if check(case)? {
                agreed[kind] += 1;
            } else if let Some(at) = OUTSIDE.iter().position(|(_, parts)| parts.iter().any(named)) {
                outside[at].push(format!("\"{name}\""));
            } else {
                println!("{key} {name}: differs");
                failed = true;
            }
        }
    }
    let count: usize = outside.iter().map(Vec::len).sum();
    let named = OUTSIDE.iter().zip(&outside).filter(|(_, names)| !names.is_empty());
    let reasons: Vec<String> = named.map(|((reason, _), names)| format!("{reason} ({})", names.join(", "))).collect();
    println!("vectors: {} decode, {} encode agree; {count} outside: {}", agreed[0], agreed[1], reasons.join("; "));
    Ok(!failed)
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    if arguments.len() != 2 {
        eprintln!("usage: vectors FILE");
        process::exit(2);
    }
    match run(&arguments[1]) {
        Ok(good) => process::exit(i32::from(!good)),
        Err(problem) => {
            eprintln!("{}: {problem}", arguments[1]);
            process::exit(2);
        }
    }
}
