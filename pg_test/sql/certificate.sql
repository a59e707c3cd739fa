-- Questions about certificates and signatures, asked as anyone may ask them.
\pset format unaligned
\pset fieldsep ' | '
\pset footer off
\set SHOW_CONTEXT never
set timezone = 'UTC';
\getenv folder PG_ABS_SRCDIR
\set agents :folder '/data/agents.sql'
\set ECHO none
\i :agents
\set ECHO all

-- A path: DER in, a verdict out
select valid, reason
from kakunin.check_path(pg_temp.der('trader'), array[pg_temp.der('intermediate')], now(), array[pg_temp.der('root')]);
select valid, reason, detail
from kakunin.check_path(pg_temp.der('trader'), '{}', now(), array[pg_temp.der('root')]);

-- Its ends are inclusive, to the microsecond
select as_of, reason
from unnest(array['2019-12-31 23:59:59.999999Z', '2020-01-01 00:00:00Z', '2120-01-01 00:00:00Z',
        '2120-01-01 00:00:00.000001Z', '-infinity', 'infinity']::timestamptz[]) as_of,
    kakunin.check_path(pg_temp.der('trader'), array[pg_temp.der('intermediate')], as_of, array[pg_temp.der('root')]);

-- With revocation lists, every certificate must be shown not to be revoked
select name, reason, detail
from unnest(array['trader', 'clerk', 'gone']) name,
    kakunin.check_path(pg_temp.der(name), array[pg_temp.der('intermediate')], now(), array[pg_temp.der('root')],
        array[pg_temp.der('list of the root'), pg_temp.der('list of the intermediate')])
order by name collate "C";
select reason, detail
from kakunin.check_path(pg_temp.der('trader'), array[pg_temp.der('intermediate')], now(), array[pg_temp.der('root')],
    array[pg_temp.der('list of the intermediate')]);

-- What an agent certificate says
\pset expanded on
select *
from kakunin.check_certificate(pg_temp.der('trader'), array[pg_temp.der('intermediate')],
    anchors => array[pg_temp.der('root')]);
\pset expanded off
select valid, reason, agent_id, scope, model_hash
from kakunin.check_certificate(pg_temp.der('clerk'), array[pg_temp.der('intermediate')],
    anchors => array[pg_temp.der('root')]);
-- A CA is no agent, though its path is valid
select valid, reason, detail
from kakunin.check_certificate(pg_temp.der('intermediate'), anchors => array[pg_temp.der('root')]);
-- Without anchors, the registered ones count
select valid, reason, detail
from kakunin.check_certificate(pg_temp.der('trader'), array[pg_temp.der('intermediate')]);

-- Nonsense gets a verdict, nothing gets nothing
select valid, reason, detail, serial from kakunin.check_certificate('\x3003020100');
select kakunin.check_certificate(null) is null as nothing;

-- Signatures of openssl: ECDSA in DER and in the fixed size that JOSE uses, Ed25519
select algorithm, kakunin.verify_signature(algorithm, pg_temp.der('key of ' || who), 'hello', signature) as signed,
    kakunin.verify_signature(algorithm, pg_temp.der('key of ' || who), 'hallo', signature) as something_else
from (values
    ('ES256', 'trader', '\x30440220086b0891fb41d0dfaed18aacfade325049c43e4be19cec850ff6688f21d82cc3022003ba4bcf34a81eaaefaac624852d6e86a8f04fd84f59c05c1101143b2a59abfe'::bytea),
    ('ES256-P1363', 'trader', '\x086b0891fb41d0dfaed18aacfade325049c43e4be19cec850ff6688f21d82cc303ba4bcf34a81eaaefaac624852d6e86a8f04fd84f59c05c1101143b2a59abfe'),
    ('EdDSA', 'clerk', '\x70f595d2686b4b645e24379f8446131f72b809530ef2bc5a9df4b11a4f54031048e8f43ec5786da0831a1aeab66beb7816ba31ae064c4280f70da75b7eb97600'))
    as each (algorithm, who, signature);

-- Texts
select kakunin.pem_encode('\x3000'), kakunin.pem_decode(kakunin.pem_encode('\x3000', 'PUBLIC KEY'));
select serial, kakunin.normalize_serial(serial)
from unnest(array['5a01', '5A:01', '5a-01', '0x5a01', '0000005A01', 'a1']) serial;
select kakunin.normalize_serial('not a number');
select kakunin.normalize_serial('00');
select kakunin.pem_decode('no block');
select kakunin.model_hash(''), kakunin.model_hash('gpt-4o-2024-08');
-- Members in any order, and numbers in any form, are one document
select kakunin.model_hash_json('{"b": 1.0, "a": [1e0]}') = kakunin.model_hash_json('{"a": [1], "b": 1}') as same;
select kakunin.model_hash_json('1e400');

-- Registered, then revoked
begin;
select encode(kakunin.add_trust_anchor(pg_temp.der('root'), 'example'), 'hex') as root;
select valid, reason, agent_id
from kakunin.import_certificate(pg_temp.der('trader'), array[pg_temp.der('intermediate')], agent_name => 'Trader');
select serial, issuer, agent_id, tenant_id, agent_name, imported_by = session_user as by_us from kakunin.certificate;
select kakunin.verify_certificate('5a:01') -> 'data' ->> 'status' as status;
select serial, reason, detail from kakunin.revoke_certificate('5a01', 'keyCompromise', 'laptop lost');
select kakunin.verify_certificate('5a01') -> 'data' ->> 'status' as status,
    kakunin.verify_certificate('5a01') -> 'data' ->> 'revocation_reason' as reason;
select reason from kakunin.check_certificate(pg_temp.der('trader'), array[pg_temp.der('intermediate')]);
select kakunin.verify_certificate('5a02');
rollback;
