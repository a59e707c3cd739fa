# shellcheck shell=bash disable=SC2154
# Concurrent sessions for the demo and the benchmarks: each is a psql behind two pipes, so that several can be in the
# middle of a transaction at once. Sourced. The caller sets $work, a directory for the pipes.

# Seconds to wait for one line of a session's answer; a session that is silent for longer ends the script.
answer_seconds_max=${answer_seconds_max:-20}
# What a session echoes after each answer.
answer_end=:::end-of-answer:::

declare -A session_in session_out session_pid
output=

# connect_to CLUSTER: sets PGHOST and so on for it. What the caller has set for other servers must not reach the
# sessions, and pgrx's variables only look as if they were of that kind.
connect_to() {
    local variable
    for variable in "${!PG@}"; do
        [[ $variable == PGRX_* ]] || unset "$variable"
    done
    eval "$(scripts/cluster.sh env "$1")"
}

# open_session NAME ROLE [psql options...]
open_session() {
    local name=$1 role=$2 descriptor
    shift 2
    mkfifo "$work/$name.in" "$work/$name.out"
    PGUSER=$role PGAPPNAME=$name psql -X -P pager=off -P null=NULL "$@" <"$work/$name.in" >"$work/$name.out" 2>&1 &
    session_pid[$name]=$!
    exec {descriptor}>"$work/$name.in"
    session_in[$name]=$descriptor
    exec {descriptor}<"$work/$name.out"
    session_out[$name]=$descriptor
}

# ask NAME SQL: runs SQL in the session; what it prints is in $output, without empty lines at the end.
ask() {
    local name=$1 line
    output=
    printf '%s\n\\echo %s\n' "$2" "$answer_end" >&"${session_in[$name]}"
    while true; do
        if ! IFS= read -r -t "$answer_seconds_max" -u "${session_out[$name]}" line; then
            give_up "session $name did not answer within $answer_seconds_max seconds; so far it said: $output"
        fi
        [[ $line != "$answer_end" ]] || break
        output+=$line$'\n'
    done
    output=${output%"${output##*[!$'\n']}"}
}

# value NAME EXPRESSION: evaluates to $output, in the session.
value() {
    ask "$1" "\\pset tuples_only on \\\\ \\pset format unaligned
select $2;
\\pset tuples_only off \\\\ \\pset format aligned"
    output=$(grep -vE '^(Tuples only is|Output format is) ' <<<"$output" || true)
}

# close_session NAME: ends it, and waits until its psql is gone. Closing the pipe would not do: sessions that were
# opened later hold it too.
close_session() {
    local descriptor=${session_in[$1]}
    printf '\\q\n' >&"$descriptor"
    exec {descriptor}>&-
    descriptor=${session_out[$1]}
    exec {descriptor}<&-
    wait "${session_pid[$1]}" || true
    rm -f "$work/$1.in" "$work/$1.out"
    unset "session_in[$1]" "session_out[$1]" "session_pid[$1]"
}

# Ends every session and removes the pipes; for the EXIT trap.
close_sessions() {
    local name
    for name in "${!session_pid[@]}"; do
        kill "${session_pid[$name]}" 2>/dev/null || true
    done
    rm -rf "$work"
}

give_up() {
    printf '\n%s\n' "$1" >&2
    exit 1
}
