#!/usr/bin/env bash
# A client in bash and coreutils.
#
#     client.sh HOST PORT CASE...    prints `CASE ok` or `CASE failed: ...`; exit code 0, 1, or 2 for usage
#
# A frame is a 4-byte little-endian length, so many bytes of JSON, and as many raw bytes as the JSON announces. Bash has no
# JSON: what is needed of a reply is found by patterns, which is good for replies of known methods and not for others.
# Environment: SHARED_SHA256 is what the file shared.bin of the server has to have (case get).
#
# Bash cannot shut down one direction of a connection, which is how an upload is confirmed. So a call follows the upload: a
# server that has refused a frame answers none behind it.
set -u
export LC_ALL=C  # ${#text} counts bytes

max_header=$((1 << 20)) max_body=$((64 << 20)) patience=30
raw=$'na\xc3\xafve \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x9a\x80'
escaped='na\u00efve \u4f60\u597d \ud83d\ude80'
cases='upper add unicode big error stream upload get'

scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
trap '' PIPE  # a server that closes is an error of the case

fail() {  # fail TEXT: ends the case
  printf '%.500s' "$1" >"$scratch/problem"
  exit 1
}

frame() {  # frame HEADER [FILE]
  local size=${#1} prefix
  printf -v prefix '\\x%02x' $((size & 255)) $((size >> 8 & 255)) $((size >> 16 & 255)) $((size >> 24 & 255))
  printf "$prefix" && printf '%s' "$1" && cat "${2-/dev/null}"
}

send() {  # send HEADER [FILE]
  frame "$@" >&3 || fail "the server takes no more"
}

read_exactly() {  # read_exactly SIZE FILE
  timeout $patience head -c "$1" <&3 >"$scratch/$2"
  (($(stat -c %s "$scratch/$2") == $1)) || fail "the server closed the connection inside a frame"
}

read_frame() {  # read_frame [LIMIT]: sets `header`, of at most so many bytes; the body goes to $scratch/body
  local prefix length size= rest one keys='file_size|file_siz|filesize|total_size'
  prefix=($(timeout $patience head -c 4 <&3 | od -An -tu1))
  ((${#prefix[@]} > 0)) || fail "the server closed the connection, or said nothing for $patience s"
  ((${#prefix[@]} == 4)) || fail "the server closed the connection inside a frame"
  length=$((prefix[0] | prefix[1] << 8 | prefix[2] << 16 | prefix[3] << 24))
  ((length >= 2 && length <= ${1-$max_header})) || fail "a header of $length bytes"
  read_exactly "$length" header
  { header=$(<"$scratch/header"); } 2>/dev/null  # bash minds NUL bytes
  [[ $header =~ ^[[:space:]]*\{ ]] || fail "a header that is no object: $header"
  [[ $header =~ \"(method|result|error|item)\": ]] && keys=body_size
  rest=$header
  while [[ $rest =~ \"($keys)\":\ ?([^,\}]*)(.*) ]]; do
    one=${BASH_REMATCH[2]/#-0/0} rest=${BASH_REMATCH[3]}
    [[ $one =~ ^(0|[1-9][0-9]{0,8})$ ]] && ((one <= max_body && one == ${size:-$one})) || fail "a bad size: $header"
    size=$one
  done
  read_exactly "${size:-0}" body
}

receive() {  # a reply, whose call always has the id 1
  read_frame
  [[ $header == *'"id":'?( )1[,}]* ]] || fail "expected a reply to call 1, got $header"
}

call() {  # call METHOD MEMBERS [FILE]; MEMBERS: what the request has beside the usual
  local size=0
  (($# < 3)) || size=$(stat -c %s "$3")
  send "{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"$1\", \"body_size\": $size$2}" "${3-/dev/null}"
  receive
}

expect_result() {  # expect_result JSON [ANOTHER SPELLING]
  local result=
  for result in "$@"; do
    [[ $header == *'"result":'?( )"$result"[,}]* ]] && return
  done
  fail "expected the result $result, got $header"
}

pattern() {  # pattern SIZE: bytes that differ everywhere; every client of this folder sends the same ones
  local i bytes=() text=
  for ((i = 0; i < 256; ++i)); do
    printf -v "bytes[$i]" '\\x%02x' $i
  done
  for ((i = 0; i < $1; ++i)); do
    text+=${bytes[(i ^ i >> 8 ^ i >> 16) & 255]}
  done
  printf "$text"
}

# ---- the cases

case_upper() {
  printf 'hello, world' >"$scratch/sent"
  call upper '' "$scratch/sent"
  [[ $(<"$scratch/body") == 'HELLO, WORLD' ]] || fail "expected HELLO, WORLD, got $header $(<"$scratch/body")"
}

case_add() {
  call add ', "params": {"a": 2, "b": 3}'
  expect_result 5
  call add ', "params": [2, 3]'
  expect_result 5
}

case_unicode() {
  local text
  for text in "$raw" "$escaped"; do
    call say ", \"params\": {\"text\": \"$text\"}"
    expect_result "\"$raw\"" "\"$escaped\""  # servers write either
  done
}

case_big() {
  head -c 5242880 /dev/urandom >"$scratch/sent"
  call echo '' "$scratch/sent"
  cmp "$scratch/sent" "$scratch/body" >"$scratch/differences" 2>&1 || fail "$(<"$scratch/differences"); $header"
}

case_error() {
  call no.such.method ''
  [[ $header == *'"code":'?( )-32601[,}]* ]] || fail "expected error -32601, got $header"
  case_upper  # the connection goes on
}

case_stream() {
  local number
  call count ', "params": {"n": 5}, "stream": true'
  for number in 0 1 2 3 4; do
    expect_result $number
    [[ $header == *'"more":'?( )true[,}]* ]] || fail "expected more, got $header"
    receive
  done
  expect_result null
  [[ $header != *'"more"'* ]] || fail "expected the end, got $header"
}

case_upload() {
  pattern 100000 >"$scratch/sent"
  send '{"file_name": "upload-bash.bin", "file_size": 100000}' "$scratch/sent"
  case_upper
}

case_get() {
  local sum
  call file.get ', "params": {"name": "shared.bin"}'
  sum=$(sha256sum <"$scratch/body")
  [[ ${sum%% *} == "${SHARED_SHA256-}" ]] || fail "expected SHA-256 ${SHARED_SHA256-}, got ${sum%% *} of $header"
}

run() {  # run CASE, in a shell of its own, with a connection of its own
  { exec 3<>"/dev/tcp/$host/$port"; } 2>/dev/null || fail "no connection to $host port $port"
  "case_$1"
}

usage() {
  printf 'usage: client.sh HOST PORT CASE...\ncases: %s\n' "$cases" >&2
  exit 2
}

[[ ${BASH_SOURCE[0]} == "$0" ]] || return 0  # vectors.sh uses what is above

(($# >= 3)) || usage
host=$1 port=$2 failed=0
shift 2
for name; do
  [[ " $cases " == *" $name "* ]] || usage
done
for name; do
  echo 'ended without a word' >"$scratch/problem"
  if (run "$name"); then
    printf '%s ok\n' "$name"
  else
    printf '%s failed: %s\n' "$name" "$(<"$scratch/problem")"
    failed=1
  fi
done
exit $failed
