# shellcheck shell=bash
# The stage of the demo: SQL is shown, run in one of several sessions, and its outcome compared with what must come
# out. Sourced by demo.sh, after session.sh.

wrong=0 part=0

if [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
    bold=$'\e[1m' dim=$'\e[2m' blue=$'\e[34m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
    bold='' dim='' blue='' green='' red='' plain=''
fi

# heading TEXT: the next thing that is shown.
heading() {
    part=$((part + 1))
    printf '\n%s%d. %s%s\n' "$bold" "$part" "$1" "$plain"
}

# remark TEXT: a sentence of explanation.
remark() {
    printf '   %s%s%s\n' "$dim" "$1" "$plain"
}

# command_line TEXT COMMAND...: shows TEXT and runs COMMAND; its output is shown and kept in $output.
command_line() {
    local text=$1
    shift
    printf '\n   %s$ %s%s\n' "$blue" "$text" "$plain"
    if ! output=$("$@" 2>&1); then
        printf '%s\n' "$output" >&2
        give_up "$text failed"
    fi
    indented "$output"
}

# show NAME SQL: prints SQL, runs it in the session, prints its answer.
show() {
    local name=$1 sql=$2 prompt
    prompt="$name> "
    printf '\n   %s%s%s%s\n' "$blue" "$prompt" "$plain" "${sql//$'\n'/$'\n'   ${prompt//?/ }}"
    ask "$name" "$sql"
    indented "$output"
}

# give NAME VARIABLE VALUE: a psql variable, for what nobody would type. VALUE has no quotes.
give() {
    ask "$1" "\\set $2 '$3'"
}

indented() {
    local margin="   $dim|$plain "
    printf '%s%s\n' "$margin" "${1//$'\n'/$'\n'$margin}"
}

# expect TEXT REGEX...: the answer that was just shown must match each of them (extended, over all its lines).
expect() {
    local text=$1 regex
    shift
    for regex; do
        if [[ ! $output =~ $regex ]]; then
            failed "$text" "the answer does not match: $regex"
            return
        fi
    done
    passed "$text"
}

# expect_without TEXT WORD...: none of the words may occur in it.
expect_without() {
    local text=$1 word
    shift
    for word; do
        if [[ $output == *"$word"* ]]; then
            failed "$text" "the answer holds: $word"
            return
        fi
    done
    passed "$text"
}

passed() {
    printf '   %s✓%s %s\n' "$green" "$plain" "$1"
}

failed() {
    wrong=$((wrong + 1))
    printf '   %s✗ %s%s\n     %s\n' "$red" "$1" "$plain" "$2"
}
