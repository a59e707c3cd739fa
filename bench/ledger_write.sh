# shellcheck shell=bash disable=SC2154
# Appending: transactions of one row and of a hundred, by several clients, and COPY. A ledger, beside the same table
# without one, and beside a chain in plpgsql. Sourced by ledger.sh.

# A table, and the name of its case.
append_tables=(plain ledger chain held)
declare -A append_case=(
    [plain]="plain table" [ledger]="ledger" [chain]="plpgsql chain" [held]="ledger, lock held"
)

measure_appending() {
    local round table rows clients tables
    write_scripts
    for ((round = 1; round <= LEDGER_ROUNDS; round++)); do
        # Each round starts with tables of the same size. Which comes first changes, as that one meets new WAL files.
        new_database ledger_write
        tables=$(tables_of_round "$round")
        for rows in 1 100; do
            for clients in 1 4 16; do
                for table in $tables; do
                    append_once "$table" "$rows" "$clients" "$round"
                done
            done
        done
        psql -X -q -d ledger_write -c checkpoint
        for table in $tables; do
            copy_once "$table" "$round"
        done
    done
    sound ledger_write
    psql -X -q -d postgres -c 'drop database ledger_write'
}

tables_of_round() {
    local table tables=()
    for table in "${append_tables[@]}"; do
        if [[ $table == plain || $table == ledger ]] || (($1 <= LEDGER_SLOW_ROUNDS)); then
            if (($1 % 2)); then
                tables+=("$table")
            else
                tables=("$table" "${tables[@]}")
            fi
        fi
    done
    printf '%s ' "${tables[@]}"
}

write_scripts() {
    local table columns="request, actor, action, amount, payload"
    for table in "${append_tables[@]}"; do
        cat >"$work/append_${table}_1.sql" <<SQL
\\set n random(1, 1000000)
insert into bench.$table ($columns) values (gen_random_uuid(), 'agent-' || :n::int % 1000, 'payment.execute',
    :n::int / 100.0, jsonb_build_object('order', 'o-' || :n::int, 'venue', 'XNAS', 'currency', 'EUR', 'risk', 0.12,
                                        'approved', true));
SQL
        cat >"$work/append_${table}_100.sql" <<SQL
\\set n random(1, 1000000)
insert into bench.$table ($columns) select gen_random_uuid(), 'agent-' || m % 1000, 'payment.execute', m / 100.0,
    jsonb_build_object('order', 'o-' || m, 'venue', 'XNAS', 'currency', 'EUR', 'risk', 0.12, 'approved', true)
  from generate_series(:n::int, :n::int + 99) m;
SQL
    done
    as_server mkdir -p "$ledger_directory/copy"
    psql -X -q -d ledger_template -v file="$ledger_directory/copy" <<SQL
select format('copy (select md5(n::text)::uuid, ''agent-'' || n %% 1000, ''payment.execute'', n / 100.0,
    jsonb_build_object(''order'', ''o-'' || n, ''venue'', ''XNAS'', ''currency'', ''EUR'', ''risk'', 0.12, ''approved'', true)
    from generate_series(1, %s) n) to %L', rows, :'file' || '/' || rows)
  from unnest(array[$LEDGER_COPY, $((LEDGER_COPY / 10))]) rows \\gexec
SQL
}

# append_once TABLE ROWS CLIENTS ROUND: microseconds for each transaction of all clients together. Nothing is planned
# again for each transaction: that would hide what a ledger costs.
append_once() {
    local table=$1 rows=$2 clients=$3 round=$4 options="-c plan_cache_mode=force_generic_plan" answer micros
    [[ $table != held ]] || options+=" -c kakunin.early_lock_release=off"
    answer=$(PGOPTIONS=$options pgbench -n -M prepared -f "$work/append_${table}_$rows.sql" -c "$clients" \
        -j $((clients < 2 ? clients : 2)) -T "$LEDGER_SECONDS" ledger_write 2>&1) || give_up "$answer"
    micros=$(awk '/^tps = / && $3 > 0 { printf "%.3f", 1e6 / $3 }' <<<"$answer")
    record "append_${rows}_$clients" "${append_case[$table]}" "$round" "$micros"
    # Beside the chain the plain table is the most that can be reached: a fast disk leaves little between the two.
    if [[ $rows == 1 && $table != held ]]; then
        record "chain_$clients" "${append_case[$table]}" "$round" "$micros"
    fi
}

# copy_once TABLE ROUND: wall time for each row, with the commit. The chain gets a tenth of the rows.
copy_once() {
    local table=$1 rows=$LEDGER_COPY session=copy
    [[ $table != held ]] || return 0
    [[ $table != chain ]] || rows=$((LEDGER_COPY / 10))
    open_measured "$session" ledger_write
    # What a backend does once is not of interest.
    ask "$session" "insert into bench.$table (request, actor, action, amount, payload)
values (gen_random_uuid(), '', '', 0, '{}');"
    cpu "$session" 1 "copy bench.$table (request, actor, action, amount, payload) from '$ledger_directory/copy/$rows';"
    close_session "$session"
    record append_copy "${append_case[$table]}" "$2" "$(scaled "$wall_micros" "$rows")"
    record append_copy_cpu "${append_case[$table]}" "$2" "$(scaled "$cpu_micros" "$rows")"
}
