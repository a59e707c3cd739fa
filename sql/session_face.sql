-- What psql shows about the commands in src/session.rs.

comment on function kakunin.session_challenge() is
    'A nonce for a proof, good for 60 s on this connection and for one use';
comment on function kakunin.proof_audience() is
    'What the aud claim of a proof for this database must be';
comment on function kakunin.bind_transaction(text) is
    'Binds the certificate that the proof shows until the transaction ends; without a proof, the TLS client certificate';
comment on function kakunin.bind_session(text) is
    'Like bind_transaction, until the session ends or is reset; for direct connections';
comment on function kakunin.unbind_session() is
    'Ends the binding of this session';
comment on function kakunin.current_binding() is
    'Who the session is bound to and how that was proven; NULL when unbound, expired or revoked';
comment on function kakunin.pre_request() is
    'For PostgREST''s db-pre-request: binds what the request proves and locks the role; once per transaction';
comment on function kakunin.lock_role() is
    'Fixes the current role until the transaction ends';
comment on function kakunin.used_proofs() is
    'Proofs that are remembered until they expire, and how many can be';
