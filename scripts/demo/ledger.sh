# shellcheck shell=bash disable=SC2154
# The part of the demo about the ledger. Sourced by demo.sh, which sets $work and $target and plays the scenes.

attach() {
    heading "A table becomes a ledger: append-only, every row hashed, every transaction chained"
    show operator "create table payments (
    id bigint primary key generated always as identity,
    paid_by text not null default kakunin_agent_id(),
    payee text not null,
    amount numeric(12, 2) not null,
    paid_at timestamptz not null default now()
);
grant select, insert on payments to trading_app;
select step, detail from kakunin.attach_ledger('payments');"
    expect "columns, triggers and the first entry of its chain" "column .*ledger_tx" "trigger .*ledger_append" "0 rows are in the first entry"
}

append() {
    heading "An agent appends; the entry of its transaction names its certificate"
    show payer "insert into payments (payee, amount) values ('Nordsee Freight', 18420.00), ('Stadtwerke', 7315.42);
insert into payments (payee, amount) values ('Zoll', 11204.15);"
    expect "three payments in two transactions" 'INSERT 0 2' 'INSERT 0 1'
    show operator "select e.seq, e.rows, c.agent_id, left(encode(e.previous, 'hex'), 12) as previous, left(encode(e.hash, 'hex'), 12) as hash
  from kakunin.ledger_entry e left join kakunin.certificate c on c.fingerprint = e.certificate
 where e.ledger = (select number from kakunin.ledger where relation = 'payments'::regclass) order by e.seq;"
    expect "each entry holds the hash of the one before" '2 +\| +2 +\| invoice-payer' '3 +\| +1 +\| invoice-payer'
}

attack() {
    local act
    heading "Nobody changes its past: not the agent, not the owner, not a superuser"
    show payer "delete from payments;"
    expect "the agent has no such privilege" 'ERROR: +permission denied'
    for act in \
        "update payments set amount = 1 where id = 1;" \
        "delete from payments where payee = 'Zoll';" \
        "truncate payments;" \
        "insert into payments (id, payee, amount) overriding system value values (1, 'x', 1) on conflict (id) do update set amount = 0;" \
        "alter table payments disable trigger all;" \
        "create rule quiet as on insert to payments do instead nothing;" \
        "alter table payments alter amount type text;" \
        "update pg_trigger set tgenabled = 'D' where tgname = 'ledger_append';" \
        "drop table payments;" \
        "drop extension kakunin cascade;"; do
        show operator "$act"
        expect "refused for the superuser who owns it, too" 'ERROR: '
    done
    show operator "begin;
set local session_replication_role = replica;
delete from payments;"
    expect "also where ordinary triggers do not fire" 'ERROR: +rows of a ledger cannot be changed'
    show operator "rollback;"
}

sign_off() {
    heading "A checkpoint: one signature over the whole log, and a note to keep elsewhere"
    show operator "select kakunin.checkpoint();"
    expect "a C2SP signed note" '— '
    ask operator "\\pset tuples_only on"
    value operator "kakunin.verifier_key()"
    verifier=$output
    ask operator "\\pset tuples_only off"
    remark "The key that signs was made by the signer process; the database holds it sealed. Its public half:"
    remark "$verifier"
    show operator "select * from kakunin.verify_ledger();"
    expect "verify_ledger() has a row for each fault: none" '\(0 rows\)'
}

check_outside() {
    local verify=$target/release/kakunin-verify
    heading "An outsider checks an export without PostgreSQL, and finds one changed byte"
    psql -X -q -At -d demo -c "select kakunin.export_ledger()" >"$work/payments.jsonl"
    command_line "kakunin-verify --key … payments.jsonl" "$verify" --key "$verifier" "$work/payments.jsonl"
    expect "every row, entry and signature" 'Sound: no fault was found'
    # One byte of a time, near the end of the base64 of the last row of the entry with two rows.
    sed -e '/^{"rows":\["[^"]*","[^"]*"\]}$/{s/A\(.\{7\}"\]}\)$/B\1/;t;s/.\(.\{7\}"\]}\)$/A\1/}' \
        "$work/payments.jsonl" >"$work/forged.jsonl"
    printf '\n   %s$ kakunin-verify --key … forged.jsonl%s\n' "$blue" "$plain"
    output=$("$verify" --key "$verifier" "$work/forged.jsonl" 2>&1) && output+=$'\n(it was accepted)'
    indented "$output"
    expect "the entry and what is wrong with it" 'altered' 'entry 2'
}
