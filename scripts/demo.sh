#!/bin/bash
# The main job, played on a private cluster: certificates made with openssl, two agents on one table, and what an
# agent may try. Every step shows its SQL and its outcome; an outcome that is not the expected one makes the exit
# status 1. The cluster is made anew each time and keeps running for `make psql`; `make stop` ends it.
# shellcheck disable=SC2154
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source scripts/session.sh
source scripts/demo/play.sh
source scripts/demo/ledger.sh

main() {
    private_postgres
    work=$(mktemp -d)
    trap close_sessions EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    pki=$target/demo
    stage "compile the offline verifier" "${CARGO:-cargo}" build --quiet --release -p kakunin-verify
    start
    certificates
    trust
    protect
    unbound
    bind_hedger
    bind_payer
    forge
    replay
    steal
    escape_role
    write_elsewhere
    attach
    append
    attack
    sign_off
    check_outside
    revoke
    examine
    farewell
}

start() {
    scripts/cluster.sh remove demo
    # Server and agents share one clock; with the usual allowance for unequal ones, proofs would be refused for the
    # first seconds of a server's life.
    scripts/cluster.sh start demo -c kakunin.clock_skew=1s
    connect_to demo
    export PGOPTIONS="-c statement_timeout=10s -c client_min_messages=warning"
    psql -X -q -d postgres -c 'create database demo'
    # Two processes of the application, which log in as the same role: only certificates tell them apart.
    psql -X -q -d demo -v ON_ERROR_STOP=1 <<'SQL'
create extension kakunin;
create role trading_app login;
create role service_role bypassrls;
grant service_role to trading_app;
SQL
    open_session operator postgres -d demo
    open_session hedger trading_app -d demo
    open_session payer trading_app -d demo
    open_session intruder trading_app -d demo
}

certificates() {
    heading "openssl makes a root, an intermediate, and a certificate for each of two agents"
    rm -rf "$pki"
    command_line "scripts/demo/pki.sh ${pki#"$root"/}" scripts/demo/pki.sh "$pki"
    command_line "openssl x509 -in fx-hedger.pem -noout -issuer -subject -serial -enddate -ext subjectAltName,keyUsage" \
        openssl x509 -in "$pki/fx-hedger.pem" -noout -issuer -subject -serial -enddate -ext subjectAltName,keyUsage
    expect "the agent's name is a SPIFFE id" spiffe://kakunin.local/tenant/treasury/agent/fx-hedger
    hedger=$(serial_of fx-hedger) payer=$(serial_of invoice-payer)
}

trust() {
    local name
    heading "The database learns whom to trust, and which agents there are"
    for name in root tenant fx-hedger invoice-payer; do
        ask operator "\\set ${name//-/_} \`cat $(printf '%q' "$pki/$name.pem")\`"
    done
    show operator "select encode(kakunin.add_trust_anchor((kakunin.pem_decode(:'root'))[1], 'treasury root'), 'hex') as anchor;"
    expect "the root is a trust anchor" '[0-9a-f]{64}'
    for name in fx_hedger invoice_payer; do
        show operator "select valid, agent_id, serial from kakunin.import_certificate(
    (kakunin.pem_decode(:'$name'))[1], chain => kakunin.pem_decode(:'tenant'));"
        expect "its path, its profile and its scope were checked" "t +\| ${name/_/-}"
    done
}

protect() {
    heading "One table for both; protect_table writes its policies"
    show operator "create table orders (
    id int primary key,
    permitted_agent_serial text not null,
    subject text not null,
    amount numeric(12, 2) not null,
    currency char(3) not null,
    status text not null default 'open'
);
create index on orders (permitted_agent_serial);
grant select, insert, update, delete on orders to trading_app;"
    give operator hedger "$hedger"
    give operator payer "$payer"
    ask operator "insert into orders (id, permitted_agent_serial, subject, amount, currency) values
    (1, :'hedger', 'EUR/USD forward, 3 months', 1250000.00, 'EUR'),
    (2, :'payer', 'invoice 2026-0117, sea freight', 18420.00, 'EUR'),
    (3, :'hedger', 'GBP/USD spot', 400000.00, 'GBP'),
    (4, :'payer', 'invoice 2026-0131, electricity', 7315.42, 'EUR'),
    (5, :'hedger', 'USD/JPY forward, 1 month', 890000.00, 'USD'),
    (6, :'payer', 'invoice 2026-0140, packaging', 2960.80, 'EUR'),
    (7, :'payer', 'invoice 2026-0142, customs duty', 11204.15, 'EUR');"
    remark "Three orders belong to fx-hedger, four to invoice-payer."
    show operator "select step from kakunin.protect_table('orders');"
    expect "row level security holds for the owner too, and no later policy can open the table" \
        "row level security enabled" "forced" "restrictive policy kakunin_binding"
}

unbound() {
    heading "Without an identity a session sees nothing, and gets no error"
    show hedger "select * from orders;"
    expect "no rows" '\(0 rows\)'
    show hedger "select kakunin_cert_serial() is null as unbound;"
    expect "there is nobody to see rows for" ' t'
}

bind_hedger() {
    local signature
    heading "fx-hedger proves who it is: a proof is a signed text that openssl can make"
    value operator "kakunin.proof_audience()"
    audience=$output
    await_proofs
    sign fx-hedger
    captured=$proof
    remark "header     $(decoded "$proof" 1)"
    remark "payload    $(decoded "$proof" 2)"
    signature=${proof##*.}
    remark "signature  ${signature:0:80}…"
    give hedger proof "$proof"
    show hedger "select kakunin.bind_session(:'proof');"
    expect_without "the proof is accepted" ERROR
    show hedger "select source, agent_id, tenant_id, not_after::date from kakunin.current_binding();"
    expect "the session acts for fx-hedger" 'proof +\| fx-hedger +\| treasury'
    show hedger "select * from orders order by id;"
    expect "a broad SELECT * gives its own three orders" '\(3 rows\)' "$hedger"
    expect_without "and none of the other agent's" "$payer"
}

bind_payer() {
    heading "invoice-payer, same login, same statement: its own rows"
    sign invoice-payer
    give payer proof "$proof"
    show payer "select kakunin.bind_session(:'proof');"
    expect_without "a P-256 key signs as well as RSA" ERROR
    show payer "select * from orders order by id;"
    expect "a broad SELECT * gives its own four orders" '\(4 rows\)' "$payer"
    expect_without "and none of the other agent's" "$hedger"
}

forge() {
    heading "A prompt-injected session forges what a policy might trust"
    give intruder hedger "$hedger"
    show intruder "set kakunin.binding = '{\"serial\": \"…\"}';"
    expect "an agent may not write that setting" 'ERROR: +permission denied to set parameter'
    show operator "set kakunin.binding = '{\"serial\": \"…\"}';"
    expect "nor may a superuser: only the extension writes it" 'ERROR: .*written by the extension only'
    show intruder "set kakunin.cert_serial = :'hedger';"
    expect "the whole prefix is reserved" 'ERROR:'
    show intruder "select set_config('request.jwt.claims', json_build_object('kakunin_cert_serial', :'hedger')::text, false) is null as failed,
    (select count(*) from orders) as orders;"
    expect "claims can be written, and open nothing" 'f +\| +0'
}

replay() {
    heading "A captured proof is presented again"
    give intruder captured "$captured"
    show intruder "select kakunin.bind_session(:'captured');"
    expect "single use, in every session of the server" 'ERROR: +proof has been used before' 'proof_reused'
    show intruder "select count(*) as orders from orders;"
    expect "still nobody" ' 0'
}

steal() {
    heading "A stolen serial number, even the whole certificate, without the key"
    openssl genrsa -out "$pki/intruder.key" 2048 2>/dev/null
    sign fx-hedger "$pki/intruder.key"
    give intruder forged "$proof"
    show intruder "select kakunin.bind_session(:'forged');"
    expect "the signature must come from the certificate's own key" 'ERROR: .*not signed by' 'proof_signature_invalid'
    show intruder "select * from orders where permitted_agent_serial = :'hedger';"
    expect "naming the serial in a condition opens nothing" '\(0 rows\)'
}

escape_role() {
    heading "While bound, the role cannot change: no escape into a role that bypasses row level security"
    remark "The application's login trading_app is a member of service_role, which bypasses row level security."
    sign invoice-payer
    give payer proof "$proof"
    show payer "begin;
select kakunin.bind_transaction(:'proof');"
    expect_without "bound for this transaction" ERROR
    show payer "select set_config('role', 'service_role', true), count(*) from orders;"
    expect "refused by PostgreSQL itself" 'ERROR: +cannot set parameter "role"'
    show payer "rollback;"
    show payer "select count(*) as orders from orders;"
    expect "the session's own binding is still there" ' 4'
}

write_elsewhere() {
    heading "Writing to another agent's rows"
    show hedger "update orders set status = 'cancelled' where id = 2;"
    expect "what it cannot see it cannot change" 'UPDATE 0'
    give hedger payer "$payer"
    show hedger "insert into orders values (8, :'payer', 'invoice 2026-0143, none', 9000.00, 'EUR');"
    expect "nor plant" 'ERROR: +new row violates row-level security policy'
    show hedger "update orders set status = 'executed' where id = 3;"
    expect "its own rows it may" 'UPDATE 1'
}

revoke() {
    heading "Revocation reaches a running transaction: two sessions side by side"
    show hedger "begin isolation level repeatable read;
select count(*) as orders from orders;"
    expect "fx-hedger is at work" ' 3'
    show operator "select serial, reason, revoked_by from kakunin.revoke_certificate(:'hedger', 'keyCompromise');"
    expect "the operator revokes its certificate" "$hedger +\| keyCompromise"
    show hedger "select count(*) as orders from orders;"
    expect "the very next statement sees nothing, in the same snapshot" ' 0'
    show hedger "update orders set status = 'executed' where id = 1;
commit;"
    expect "and changes nothing" 'UPDATE 0'
    sign fx-hedger
    give hedger proof "$proof"
    show hedger "select kakunin.bind_session(:'proof');"
    expect "no new proof helps" 'ERROR: +certificate has been revoked'
    show payer "select count(*) as orders from orders;"
    expect "the other agent works on" ' 4'
}

examine() {
    heading "doctor() looks for what undermines all this, and says how to mend it"
    show operator "create view open_orders as select * from orders where status = 'open';
grant select on open_orders to trading_app;"
    show payer "select count(*) as orders, count(distinct permitted_agent_serial) as agents from open_orders;"
    expect "a view reads as its owner: invoice-payer sees both agents' orders" ' 6 +\| +2'
    show operator "select severity, finding, object, remedy from kakunin.doctor();"
    expect "doctor() finds the view" 'view_without_security_invoker +\| public.open_orders'
    expect "and the role that an unbound session could have escaped to" 'role_bypasses_row_security +\| service_role'
    show operator "select remedy from kakunin.doctor() where object in ('public.open_orders', 'service_role') \\gexec"
    expect "its remedies are statements" 'ALTER VIEW' 'ALTER ROLE'
    show payer "select count(*) as orders, count(distinct permitted_agent_serial) as agents from open_orders;"
    expect "now the view shows what the table does" ' 4 +\| +1'
    show operator "select count(*) as findings from kakunin.doctor() where object in ('public.open_orders', 'service_role');"
    expect "nothing is left of either" ' 0'
}

farewell() {
    local agent=${pki#"$root"/}/invoice-payer
    if [[ $wrong != 0 ]]; then
        give_up "$wrong outcomes were not as expected"
    fi
    cat <<TEXT

${bold}All outcomes were as expected.${plain} The cluster runs on. Try it yourself:

   make psql                                   land in it, as the superuser, who sees every row
   \\c - trading_app                            become the agents' login: no rows
   select kakunin.proof_audience() as audience \\gset
   \\set proof \`scripts/demo/proof.sh $agent :audience\`
   select kakunin.bind_session(:'proof');      now you are invoice-payer
   select * from orders;
   make stop                                   stop the cluster
TEXT
}

# sign AGENT [KEY]: a fresh proof in $proof; shows how it is made.
sign() {
    local agent=$1 key=${2:-}
    printf '\n   %s$ scripts/demo/proof.sh %s %s%s%s\n' "$blue" "${pki#"$root"/}/$agent" "$audience" "${key:+ ${key#"$root"/}}" "$plain"
    proof=$(scripts/demo/proof.sh "$pki/$agent" "$audience" ${key:+"$key"})
}

# decoded PROOF N: part N of a compact JWS, as the text that was encoded.
decoded() {
    local text
    text=$(cut -d. -f"$2" <<<"$1" | tr '_-' '/+')
    while ((${#text} % 4)); do
        text+='='
    done
    openssl base64 -d -A <<<"$text"
}

# Proofs from before the server's start are refused, with a margin for unequal clocks: the uses of that time are
# forgotten. This server is seconds old.
await_proofs() {
    value operator "ceil(greatest(0, extract(epoch from pg_postmaster_start_time() - now()) + 1
        + (select setting::int from pg_settings where name = 'kakunin.clock_skew')))::int"
    if ((output > 0)); then
        remark "(The server is too young for proofs without a challenge: waiting for $output s.)"
        sleep "$output"
    fi
}

serial_of() {
    openssl x509 -in "$pki/$1.pem" -noout -serial | cut -d= -f2
}

main "$@"
