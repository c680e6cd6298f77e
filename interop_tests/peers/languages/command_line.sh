#!/usr/bin/env bash
# The cases of this folder by the program framecall: $FRAMECALL_PROGRAM, else the one on PATH.
#
#     command_line.sh HOST PORT CASE...    prints `CASE ok` or `CASE failed: ...`; exit code 0, 1, or 2 for usage
#
# Each command has a connection of its own, so that nothing is said here about a connection that goes on after an error.
# Environment: SHARED_SHA256 is what the file shared.bin of the server has to have (case get).
set -u
export LC_ALL=C.UTF-8

raw='naïve 你好 🚀'
escaped='na\u00efve \u4f60\u597d \ud83d\ude80'
cases='upper add unicode big error stream upload get'
refused=5  # exit code: the server has answered with an error

scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1

program=${FRAMECALL_PROGRAM:-framecall}

expect() {  # expect GOT WANTED [ANOTHER SPELLING]
  local wanted
  for wanted in "${@:2}"; do
    [[ $1 == "$wanted" ]] && return
  done
  printf 'expected %.200s, got %.200s %.500s\n' "$2" "$1" "$(<messages)" >problem
  exit 1
}

call() { "$program" call "$address" "$@" 2>messages; }

case_upper() { expect "$(printf 'hello, world' | call upper --body - --output - --quiet)" 'HELLO, WORLD'; }

case_add() {
  expect "$(call add a=2 b=3)" 5
  expect "$(call add '[2, 3]')" 5
}

case_unicode() {  # what leaves is \uxxxx; the result comes as the server wrote it
  expect "$(call say "text=$raw")" "\"$raw\"" "\"$escaped\""
  expect "$(call say "{\"text\": \"$escaped\"}")" "\"$raw\"" "\"$escaped\""
}

case_big() {
  head -c 5242880 /dev/urandom >sent
  call echo --body sent --output received >result
  expect $? 0
  expect "$(sha256sum <received)" "$(sha256sum <sent)"
}

case_error() {
  call no.such.method >result
  expect "$? $(grep -o -e '(-32601)' messages)" "$refused (-32601)"
}

case_stream() { expect "$(call count n=5 --stream)" $'0\n1\n2\n3\n4'; }

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

case_upload() {
  pattern 100000 >upload-command_line.bin
  "$program" send --quiet "$address" upload-command_line.bin >result 2>messages
  expect $? 0
}

case_get() {
  "$program" get --quiet "$address" shared.bin >result 2>messages
  expect $? 0
  expect "$(sha256sum <shared.bin)" "${SHARED_SHA256-}  -"
}

usage() {
  printf 'usage: command_line.sh HOST PORT CASE...\ncases: %s\n' "$cases" >&2
  exit 2
}

(($# >= 3)) || usage
address=$1:$2 failed=0
shift 2
for name; do
  [[ " $cases " == *" $name "* ]] || usage
done
for name; do
  echo 'ended without a word' >problem
  if ("case_$name"); then
    printf '%s ok\n' "$name"
  else
    printf '%s failed: %s\n' "$name" "$(tr '\n' ' ' <problem)"
    failed=1
  fi
done
exit $failed
