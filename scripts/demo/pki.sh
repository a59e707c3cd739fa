#!/bin/bash
# A public key infrastructure for two agents, made with the openssl program alone; prints each command.
#
#   scripts/demo/pki.sh DIRECTORY
#
# Writes root.pem, tenant.pem (the intermediate), fx-hedger.pem and invoice-payer.pem with their keys. Nothing in it
# is particular to the demo but the names: docs/certificates.md says what an agent certificate must carry.
set -euo pipefail

main() {
    mkdir -p "$1"
    cd "$1"
    umask 077

    openssl_ req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-384 -noenc -keyout root.key -out root.pem -days 3650 -sha384 \
        -subj "/O=Example Treasury/CN=Example Root CA" \
        -addext basicConstraints=critical,CA:TRUE,pathlen:1 -addext keyUsage=critical,keyCertSign,cRLSign

    extensions tenant <<CONF
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
CONF
    issue tenant root "/O=treasury/CN=Example Agent CA" 730 rsa:2048 sha384

    agent fx-hedger rsa:2048 '{"allowed_actions":["order.create","order.update"],"max_transaction_size":{"amount":"2000000","currency":"EUR"},"v":1}'
    agent invoice-payer ec '{"allowed_actions":["order.create"],"max_transaction_size":{"amount":"50000","currency":"EUR"},"v":1}'
}

# agent NAME KEYTYPE SCOPE: a certificate that names the agent, the model it runs, and what it may do.
agent() {
    local name=$1 keytype=$2 scope=${3//\"/\\\"} model
    printf '{"agent":"%s","model":"ledger-7b","prompt_version":12}' "$name" >"$name.model.json"
    model=$(openssl dgst -sha256 -r "$name.model.json" | cut -d' ' -f1)
    extensions "$name" <<CONF
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = 1.3.6.1.4.1.99999.1
subjectAltName = URI:spiffe://kakunin.local/tenant/treasury/agent/$name
1.3.6.1.4.1.99999.2 = ASN1:UTF8String:sha256:$model
1.3.6.1.4.1.99999.3 = ASN1:UTF8String:$scope
CONF
    issue "$name" tenant "/O=treasury/CN=$name" 90 "$keytype"
}

extensions() {
    cat >"$1.cnf"
    printf '%s\n' "subjectKeyIdentifier = hash" "authorityKeyIdentifier = keyid:always" >>"$1.cnf"
}

# issue NAME ISSUER SUBJECT DAYS KEYTYPE [HASH]: a P-384 key signs with SHA-384, all others here with SHA-256.
issue() {
    local name=$1 issuer=$2 subject=$3 days=$4 options=(-newkey "$5") hash=${6:-sha256}
    if [[ $5 == ec ]]; then
        options+=(-pkeyopt ec_paramgen_curve:P-256)
    fi
    openssl_ req "${options[@]}" -noenc -keyout "$name.key" -subj "$subject" -out "$name.csr"
    openssl_ x509 -req -in "$name.csr" -CA "$issuer.pem" -CAkey "$issuer.key" -days "$days" "-$hash" \
        -set_serial "0x$(serial)" -extfile "$name.cnf" -out "$name.pem"
}

# 16 random octets; the first is 10 to 7F, so that the number is positive and keeps its length (RFC 5280, 4.1.2.2).
serial() {
    printf '%x%s\n' $((RANDOM % 7 + 1)) "$(openssl rand -hex 16 | cut -c2-)"
}

# Runs openssl quietly unless it fails, after saying what is run.
openssl_() {
    local log
    printf '$ openssl'
    printf ' %s' "${@@Q}" | sed -E "s/'([A-Za-z0-9_.,:=+-]+)'/\1/g"
    printf '\n'
    if ! log=$(openssl "$@" 2>&1); then
        printf '%s\n' "$log" >&2
        return 1
    fi
}

main "$@"
