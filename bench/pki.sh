#!/bin/bash
# Certificates for the benchmarks: a root with an RSA-4096 key, an intermediate and a leaf with RSA-2048 keys, and a
# second leaf with a P-256 key for runs that need very many proofs. Also writes what bench/src reads: the keys as
# PKCS#8 and the certificates as DER.
#
#   bench/pki.sh DIRECTORY
set -euo pipefail

main() {
    mkdir -p "$1"
    cd "$1"
    umask 077
    exec 3>&2 2>openssl.log
    trap 'if [[ $? != 0 ]]; then cat openssl.log >&3; fi' EXIT

    openssl req -x509 -newkey rsa:4096 -noenc -keyout root.key -out root.pem -days 3650 -subj /O=bench/CN=root \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
    issue tenant root rsa:2048 "basicConstraints = critical, CA:TRUE, pathlen:0" "keyUsage = critical, keyCertSign, cRLSign"
    agent rsa rsa:2048
    agent p256 ec
}

# agent NAME KEYTYPE: with everything that an agent certificate may carry, as the check of it is measured.
agent() {
    local zeros
    zeros=$(printf '%064d' 0)
    issue "$1" tenant "$2" "basicConstraints = critical, CA:FALSE" "keyUsage = critical, digitalSignature" \
        "extendedKeyUsage = 1.3.6.1.4.1.99999.1" \
        "subjectAltName = URI:spiffe://kakunin.local/tenant/bench/agent/$1" \
        "1.3.6.1.4.1.99999.2 = ASN1:UTF8String:sha256:$zeros" \
        '1.3.6.1.4.1.99999.3 = ASN1:UTF8String:{\"allowed_actions\":[\"order.create\"],\"v\":1}'
    openssl pkcs8 -topk8 -nocrypt -in "$1.key" -outform DER -out "$1.pk8"
    openssl x509 -in "$1.pem" -outform DER -out "$1.der"
    openssl pkey -in "$1.key" -pubout -outform DER -out "$1.spki"
}

# issue NAME ISSUER KEYTYPE EXTENSION...: the serial has 20 octets, the longest that is allowed.
issue() {
    local name=$1 issuer=$2 options=(-newkey "$3")
    shift 3
    if [[ ${options[1]} == ec ]]; then
        options+=(-pkeyopt ec_paramgen_curve:P-256)
    fi
    printf '%s\n' "$@" "subjectKeyIdentifier = hash" "authorityKeyIdentifier = keyid:always" >"$name.cnf"
    openssl req "${options[@]}" -noenc -keyout "$name.key" -subj "/O=bench/CN=$name" -out "$name.csr"
    openssl x509 -req -in "$name.csr" -CA "$issuer.pem" -CAkey "$issuer.key" -days 30 -sha256 \
        -set_serial "0x5A$(openssl rand -hex 19)" -extfile "$name.cnf" -out "$name.pem"
}

main "$@"
