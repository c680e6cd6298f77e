#!/usr/bin/env bash
# Does client.sh read and write frames as vectors.json says? bash and coreutils 8.31, for basenc.
#
#     vectors.sh FILE    prints what agrees, and what is outside; exit code 1 if anything else differs
#
# Bash has no JSON. The file is read by lines, for it has one case on each, and by patterns. How many messages there are, their
# bodies and the end are compared, headers are not. A refusal is a refusal, whatever its code. What is written is the text of
# a header as it stands.
(($# == 1)) || {
  echo 'usage: vectors.sh FILE' >&2
  exit 2
}
vectors=$1
source "$(dirname "${BASH_SOURCE[0]}")/client.sh" || exit 2

# Cases that patterns get wrong: by name, or those that end with a parse error. They alone may disagree, and are printed.
reasons=('what is no JSON is not noticed' 'duplicates are taken for other spellings' 'bodies above 64 MiB'
  'json.dumps spells it anew')
patterns=('-32700[}][}],?$' '^decode duplicate size' '^decode largest (file|body)_size' '^encode (request|upload with the published typo|nested and empty containers|escapes|integers|floats)$')
outside=('' '' '' '')

expand() {  # expand VALUE: a JSON text, or a list of texts and [text, count], as one text that is still escaped
  local rest=$1 string='"(([^"\]|\\.)*)"(, ([0-9]+)\])?(.*)'
  while [[ $rest =~ $string ]]; do
    rest=${BASH_REMATCH[5]}
    yes -- "${BASH_REMATCH[1]}" 2>/dev/null | head -n "${BASH_REMATCH[4]:-1}"
  done | tr -d '\n'
}

unhex() {  # unhex VALUE
  expand "$1" | tr a-f A-F | basenc --base16 -d
}

between() {  # between LINE KEY NEXT_KEY...: sets `value`; a key inside of a text has other quotes
  local next line=$1
  value=${line#*\"$2\": }
  for next in "${@:3}"; do
    value=${value%%, \"$next\": *}
  done
}

read_all() {  # read_all LIMIT BODY...; how it ends is in $scratch/problem
  local body
  exec 3<"$scratch/stream"
  for body in "${@:2}"; do
    read_frame "$1"
    cmp -s "$scratch/body" <(unhex "$body") || fail "another body than $body"
    printf . >>"$scratch/seen"
  done
  read_frame "$1"
  fail "more messages than $(($# - 1))"
}

check_decode() {  # check_decode LINE
  local value limit=$max_header bodies=() rest end
  [[ $1 =~ \"max_header\":\ ([0-9]+) ]] && limit=${BASH_REMATCH[1]}
  between "$1" hex max_header messages
  unhex "$value" >"$scratch/stream"
  between "$1" messages partial end
  rest=$value
  while [[ $rest == *', "body": '* ]]; do
    rest=${rest#*, \"body\": }
    bodies+=("${rest%%\}*}")
  done
  : >"$scratch/seen"
  (read_all "$limit" "${bodies[@]}")
  (($(stat -c %s "$scratch/seen") == ${#bodies[@]})) || return 1
  between "$1" end
  case $(<"$scratch/problem") in
    *'or said nothing'*) [[ $value == '"closed"'* || $value == '"need_data"'* ]] ;;  # it learns of a need from the end
    *'inside a frame') [[ $value == *'"truncated"'* || $value == '"need_data"'* ]] ;;
    'a header of'* | 'a header that'* | 'a bad size'*) [[ $value == *'"error": -'* ]] ;;
    *) false ;;
  esac
}

check_encode() {  # check_encode LINE
  local value header
  between "$1" header_text body
  header=$(expand "$value")
  printf -v header '%b' "${header//\\\"/\\x22}"  # printf knows the other escapes, but not that of a quote
  between "$1" body hex
  unhex "$value" >"$scratch/sent"
  between "$1" hex
  frame "$header" "$scratch/sent" | cmp -s - <(unhex "$value")
}

kind= failed=0 count=0 decode=0 encode=0
while IFS= read -r line; do
  if [[ $line =~ ^\ \"(decode|encode)\":\ \[$ ]]; then
    kind=${BASH_REMATCH[1]}
  elif [[ $line == ' ]'* ]]; then
    kind=
  elif [[ $kind ]]; then
    between "$line" name hex header_text
    name=${value//[\"\\]/}
    if "check_$kind" "$line"; then
      ((++$kind))
      continue
    fi
    for i in "${!reasons[@]}"; do
      if [[ "$kind $name" =~ ${patterns[i]} || $line =~ ${patterns[i]} ]]; then
        outside[i]+="${outside[i]:+, }\"$name\""
        ((++count))
        continue 2
      fi
    done
    printf '%s %s: %s\n' "$kind" "$name" "$(<"$scratch/problem")"
    failed=1
  fi
done <"$vectors"
text=
for i in "${!reasons[@]}"; do
  [[ ${outside[i]} ]] && text+="${text:+; }${reasons[i]} (${outside[i]})"
done
printf 'vectors: %d decode, %d encode agree; %d outside: %s\n' $decode $encode $count "$text"
exit $failed
