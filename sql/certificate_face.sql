-- What psql shows about the questions in src/certificate.rs.

comment on function kakunin.check_path(bytea, bytea[], timestamptz, bytea[], bytea[]) is
    'Validates a certificate path by RFC 5280; DER in, a verdict out. With CRLs, an unknown status is refused';
comment on function kakunin.check_certificate(bytea, bytea[], timestamptz, bytea[], bytea[]) is
    'Validates an agent certificate and tells what it says; anchors NULL means the registered ones';
comment on function kakunin.verify_signature(text, bytea, bytea, bytea) is
    'Verifies a signature: JOSE algorithm name, DER SubjectPublicKeyInfo, message, signature; false for anything else';
comment on function kakunin.pem_decode(text) is
    'DER of every block of a PEM text (RFC 7468), in order';
comment on function kakunin.pem_encode(bytea, text) is
    'One PEM block (RFC 7468) with this label';
comment on function kakunin.normalize_serial(text) is
    'Canonical serial number: upper-case hexadecimal without separators; colons, dashes, 0x and lower case are understood';
comment on function kakunin.model_hash(bytea) is
    'sha256:<hex> of the bytes';
comment on function kakunin._model_hash_json(text) is
    'Used by model_hash_json';

create function kakunin.model_hash_json(model jsonb) returns text
    language sql immutable strict parallel safe
begin atomic
    select kakunin._model_hash_json(model::text);
end;
comment on function kakunin.model_hash_json(jsonb) is
    'sha256:<hex> of a JSON document in its canonical form (RFC 8785)';
