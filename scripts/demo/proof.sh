#!/bin/bash
# Signs a proof with an agent's key and prints it: a compact JWS (RFC 7515), made by openssl and a shell alone.
# Good for one use within 60 seconds, in the database whose audience it names.
#
#   scripts/demo/proof.sh AGENT AUDIENCE [KEY]
#
# AGENT.pem is the certificate. KEY is the private key that signs, AGENT.key if not given. AUDIENCE is what
# kakunin.proof_audience() says.
set -euo pipefail

main() {
    if [[ $# -lt 2 ]]; then
        sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
        exit 2
    fi
    local certificate=$1.pem audience=$2 key=${3:-$1.key} algorithm header payload input now
    case $(openssl pkey -in "$key" -noout -text) in
        *rsaEncryption* | *modulus:*) algorithm=RS256 ;;
        *prime256v1*) algorithm=ES256 ;;
        *) echo "$key is neither an RSA nor a P-256 key." >&2 && exit 1 ;;
    esac
    now=$(date +%s)
    header=$(printf '{"typ":"kakunin-proof+jwt","alg":"%s","x5t#S256":"%s","kid":"%s"}' "$algorithm" \
        "$(openssl x509 -in "$certificate" -outform DER | openssl dgst -sha256 -binary | base64url)" \
        "$(openssl x509 -in "$certificate" -noout -serial | cut -d= -f2)")
    payload=$(printf '{"aud":"%s","iat":%d,"exp":%d,"jti":"%s"}' "$audience" "$now" $((now + 60)) "$(openssl rand -hex 16)")
    input=$(printf %s "$header" | base64url).$(printf %s "$payload" | base64url)
    printf '%s.%s\n' "$input" "$(printf %s "$input" | openssl dgst -sha256 -sign "$key" -binary | "$algorithm" | base64url)"
}

base64url() {
    openssl base64 -A | tr '+/' '-_' | tr -d '='
}

# An RSA signature is used as openssl writes it.
RS256() {
    cat
}

# openssl writes an ECDSA signature as DER, a sequence of two integers; JOSE wants both as 32 bytes, one after the
# other (RFC 7518 section 3.4). The integers come without leading zeros, or with one in front of a high bit.
ES256() {
    local number bytes=
    while read -r number; do
        number=$(printf '%64s' "$number" | tr ' ' 0)
        bytes+=${number: -64}
    done < <(openssl asn1parse -inform DER | sed -n 's/.*INTEGER *://p')
    # shellcheck disable=SC2001,SC2059
    printf "$(sed 's/../\\x&/g' <<<"$bytes")"
}

main "$@"
