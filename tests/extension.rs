//! The extension as an object: who may create, move, change and drop it, in which words that is refused, and what is left.

use kakunin_tests::scene::{Scene, ask, bind_session, refused, refused_inside, run, seen, state};
use kakunin_tests::{Checks, Cluster, DATABASE};

#[test]
fn it_is_dropped_only_with_the_policies_that_call_it_and_leaves_their_tables_shut() {
    let scene = Scene::new();
    let mut superuser = scene.superuser();
    let mut checks = Checks::new();
    let mut bound = scene.app();
    bind_session(&mut bound, &scene.a);
    checks.equal("before", seen(&mut bound, "t.v"), "1,2");
    run(&mut superuser, "create view t.mine as select kakunin_agent_id() as agent");

    let refusal = refused(&mut superuser, "drop extension kakunin");
    checks.equal("drop", refusal.sqlstate.as_str(), "2BP01");
    checks.equal(
        "drop: message",
        refusal.message.as_str(),
        "cannot drop extension kakunin because other objects depend on it",
    );
    for named in [
        "policy kakunin_access on table t.v depends on function kakunin_cert_serial()",
        "policy kakunin_binding on table t.v depends on function kakunin_cert_serial()",
        "policy own on table t.bare depends on function kakunin_cert_serial()",
        "view t.mine depends on function kakunin_agent_id()",
    ] {
        checks.holds(named, refusal.detail.contains(named), &refusal.detail);
    }
    checks.holds("drop: the hint", refusal.hint.contains("CASCADE"), &refusal.hint);
    // Parts of it cannot be taken out one by one.
    for part in [
        "drop function public.kakunin_cert_serial() cascade",
        "drop table kakunin.revocation cascade",
        "drop schema kakunin cascade",
        "drop function kakunin.trust_changed() cascade",
        "drop type kakunin.session_binding cascade",
    ] {
        checks.equal(part, refused(&mut superuser, part).sqlstate.as_str(), "2BP01");
    }
    checks.equal("still there", seen(&mut bound, "t.v"), "1,2");

    run(&mut superuser, "drop extension kakunin cascade");
    let left = "select count(*) from pg_policies";
    checks.equal("no policy is left", ask(&mut superuser, left), "0");
    let kept = "select count(*) from pg_class where relrowsecurity and relnamespace = 't'::regnamespace";
    checks.equal("row security stays", ask(&mut superuser, kept), "2");
    for table in ["t.v", "t.bare"] {
        checks.equal(&format!("{table}: who was bound"), seen(&mut bound, table), "");
        checks.equal(&format!("{table}: anyone"), seen(&mut scene.app(), table), "");
        let insert = format!("insert into {table} values (9, '4A', 'x')");
        checks.equal(&format!("{table}: writing"), state(&mut bound, &insert), "42501");
    }
    checks.equal("a function that is gone", state(&mut bound, "select kakunin_cert_serial()"), "42883");
    checks.equal("a schema that is gone", state(&mut bound, "select kakunin.current_binding()"), "3F000");
    checks.equal("the setting cannot be written", state(&mut bound, "set kakunin.binding = '4A'"), "42501");

    // Made again, it knows nobody; protecting again is one call, and a session that was bound is not.
    run(&mut superuser, "create extension kakunin");
    checks.equal("an empty registry", ask(&mut superuser, "select count(*) from kakunin.certificate"), "0");
    run(&mut superuser, "select from kakunin.protect_table('t.v', 's')");
    checks.equal("who was bound before", seen(&mut bound, "t.v"), "");
    scene.pki.trust_root(&mut superuser);
    scene.a.register(&mut superuser);
    let mut again = scene.app();
    bind_session(&mut again, &scene.a);
    checks.equal("bound again", seen(&mut again, "t.v"), "1,2");
}

#[test]
fn it_is_created_once_in_a_database_and_stays_where_it_was_put() {
    let cluster = Cluster::builder().without_extension().start();
    let mut superuser = cluster.superuser();
    let mut checks = Checks::new();
    run(&mut superuser, "create schema \"a .%B\"; create extension kakunin schema \"a .%B\"");
    let refusal = refused(&mut superuser, "create extension kakunin");
    checks.equal(
        "twice",
        (refusal.sqlstate.as_str(), refusal.message.as_str()),
        ("42710", "extension \"kakunin\" already exists"),
    );
    run(&mut superuser, "create extension if not exists kakunin");
    for schema in ["public", "pg_catalog"] {
        let refusal = refused(&mut superuser, &format!("alter extension kakunin set schema {schema}"));
        let words = "extension \"kakunin\" does not support SET SCHEMA";
        checks.equal(&format!("into {schema}"), (&*refusal.sqlstate, &*refusal.message), ("0A000", words));
    }
    let refusal = refused(&mut superuser, "alter extension kakunin set schema kakunin");
    checks.equal("into its own", refusal.sqlstate.as_str(), "55000");
    let refusal = refused(&mut superuser, "alter extension kakunin update to '99.0'");
    checks.equal("a version that is not there", refusal.sqlstate.as_str(), "22023");
    run(&mut superuser, "alter extension kakunin update");
    let found = "select distinct n.nspname::text || '.' || left(p.proname, 8) from pg_proc p
        join pg_namespace n on n.oid = p.pronamespace where p.proname like 'kakunin\\_%' order by 1";
    checks.equal("its policy functions", ask(&mut superuser, found), "a .%B.kakunin_");
    // It works from there, also where that schema gets another name.
    let table = "create table note (permitted_agent_serial text);
        select from kakunin.protect_table('note', create_index => true)";
    run(&mut superuser, table);
    run(&mut superuser, "alter schema \"a .%B\" rename to c");
    let condition = "select distinct qual from pg_policies";
    let expected = "(permitted_agent_serial = ( SELECT c.kakunin_cert_serial() AS kakunin_cert_serial))";
    checks.equal("a policy", ask(&mut superuser, condition), expected);
    let again = "create table later (permitted_agent_serial text);
        select from kakunin.protect_table('later', create_index => true)";
    checks.equal("another table", state(&mut superuser, again), "00000");
    checks.equal("a policy of it", ask(&mut superuser, condition), expected);
    checks.equal("doctor()", ask(&mut superuser, "select * from kakunin.doctor()"), "");
    checks.equal("unbound", ask(&mut superuser, "select c.kakunin_cert_serial() is null"), "t");
    // A second database has its own; roles belong to both.
    run(&mut superuser, "create database other");
    let mut other = cluster.connect("postgres", "other");
    run(&mut other, "create extension kakunin");
    run(&mut other, "drop extension kakunin");
    checks.equal("the first one", ask(&mut superuser, "select count(*) from kakunin.certificate"), "0");
    let latin = "create database latin template template0 encoding 'LATIN1' locale 'C'";
    run(&mut superuser, latin);
    let refusal = refused(&mut cluster.connect("postgres", "latin"), "create extension kakunin");
    checks.equal("another encoding", (refusal.sqlstate.as_str(), refusal.slug()), ("55000", "encoding_unsupported"));
    checks.holds("another encoding: the hint", refusal.hint.contains("UTF8"), &refusal.hint);
}

#[test]
fn n15_nobody_prepares_changes_or_replaces_what_the_extension_owns() {
    let cluster = Cluster::builder().without_extension().start();
    let mut superuser = cluster.superuser();
    let mut checks = Checks::new();
    run(
        &mut superuser,
        "create role attacker login; create schema open; grant create, usage on schema open to public;
        grant create on schema public to attacker; grant create on database test to attacker",
    );
    let mut attacker = cluster.connect("attacker", DATABASE);
    checks.equal("creating it", refused(&mut attacker, "create extension kakunin schema open").sqlstate, "42501");

    // Objects that wait for it are found, not taken over.
    for (name, prepare, clean, sqlstate) in [
        ("its schema", "create schema kakunin", "drop schema kakunin", "42P06"),
        (
            "a policy function",
            "create function open.kakunin_cert_serial() returns text language sql as $$ select '4A' $$",
            "drop function open.kakunin_cert_serial()",
            "42723",
        ),
    ] {
        run(&mut attacker, prepare);
        let refusal = refused(&mut superuser, "create extension kakunin schema open");
        checks.equal(name, refusal.sqlstate.as_str(), sqlstate);
        let none = "select count(*) from pg_extension where extname = 'kakunin'";
        checks.equal(&format!("{name}: nothing is half there"), ask(&mut superuser, none), "0");
        run(&mut attacker, clean);
    }
    // Names in the target schema that fit better than the system's are not called by the script.
    let traps = "
        create table open.sprung (by_name text);
        grant insert on open.sprung to public;
        create function open.spring(name text) returns boolean language plpgsql as
            $$ begin insert into open.sprung values (name); return true; end $$;
        create function open.format(text, name) returns text language sql as $$ select open.spring('format')::text $$;
        create function open.format(text, text) returns text language sql as $$ select open.spring('format')::text $$;
        create function open.statement_timestamp() returns timestamptz language sql as
            $$ select now() where open.spring('time') $$;
        create function open.octet_length(bytea) returns int language sql as
            $$ select 32 where open.spring('length') $$;
        create function open.name_is(name, text) returns boolean language sql as $$ select open.spring('=') $$;
        create operator open.= (leftarg = name, rightarg = text, function = open.name_is);
        create operator open.<> (leftarg = name, rightarg = text, function = open.name_is);
        create function open.text_is(text, text) returns boolean language sql as $$ select open.spring('~') $$;
        create operator open.~ (leftarg = text, rightarg = text, function = open.text_is);";
    run(&mut attacker, traps);
    run(&mut superuser, "create extension kakunin schema open");
    run(
        &mut superuser,
        "create table open.note (permitted_agent_serial text); set search_path = open, public;
        select from kakunin.protect_table('open.note', create_index => true); select * from kakunin.doctor();
        insert into kakunin.revocation (fingerprint, serial) values (decode(repeat('00', 32), 'hex'), '00');
        delete from kakunin.revocation; reset search_path",
    );
    checks.equal("nothing was called", ask(&mut superuser, "select string_agg(by_name, ' ') from open.sprung"), "NULL");

    // Afterwards nobody but its owner changes it, whoever may create beside it.
    for attempt in [
        "create or replace function open.kakunin_cert_serial() returns text language sql as $$ select '4A' $$",
        "alter function open.kakunin_cert_serial() immutable",
        "alter function open.kakunin_cert_serial() set schema public",
        "alter function open.kakunin_cert_serial() owner to attacker",
        "drop function open.kakunin_cert_serial()",
        "create or replace function kakunin.current_binding() returns kakunin.session_binding language sql as 'select null'",
        "create function kakunin.mine() returns int language sql as 'select 1'",
        "alter extension kakunin drop function open.kakunin_cert_serial()",
        "alter extension kakunin add table open.sprung",
        "alter extension kakunin update",
        "drop extension kakunin cascade",
        "alter schema kakunin rename to taken",
        "alter schema kakunin owner to attacker",
        "alter table kakunin.revocation disable trigger trust_changed",
        "alter table kakunin.revocation add column x int",
        "create trigger t before insert on kakunin.revocation for each row execute function kakunin.trust_changed()",
        "create policy p on kakunin.revocation using (true)",
        "truncate kakunin.revocation",
        "delete from kakunin.revocation",
        "insert into kakunin.certificate select * from kakunin.certificate",
        "grant all on kakunin.certificate to attacker",
        "create rule r as on select to kakunin.certificate do instead select 1",
        "comment on extension kakunin is 'mine'",
        "security label on function open.kakunin_cert_serial() is 'x'",
        "grant kakunin_admin to attacker",
        "alter role kakunin_admin login",
    ] {
        let sqlstate = refused(&mut attacker, attempt).sqlstate;
        let expected = if attempt.starts_with("security label") { "22023" } else { "42501" };
        checks.equal(attempt, sqlstate.as_str(), expected);
    }
    // One's own beside it is one's own: policies hold the function that they were written with.
    run(&mut attacker, "create function public.kakunin_cert_serial() returns text language sql as $$ select '4A' $$");
    let mentioned =
        "select distinct d.refobjid::regprocedure::text from pg_depend d join pg_policy p on p.oid = d.objid
        where d.classid = 'pg_policy'::regclass and d.refclassid = 'pg_proc'::regclass";
    checks.equal("a policy's function", ask(&mut superuser, mentioned), "open.kakunin_cert_serial()");
    let again = "select from kakunin.protect_table('open.note')";
    run(&mut superuser, &format!("set search_path = public, open; {again}; reset search_path"));
    checks.equal("written again", ask(&mut superuser, mentioned), "open.kakunin_cert_serial()");
}

#[test]
fn n12_what_opens_a_connection_of_its_own_is_another_session() {
    let scene = Scene::new();
    let mut superuser = scene.superuser();
    let mut checks = Checks::new();
    let connection = scene.cluster.connection("app", DATABASE);
    let options = [
        ("host", scene.cluster.socket_directory().to_string_lossy().into_owned()),
        ("port", scene.cluster.port().to_string()),
        ("dbname", DATABASE.to_owned()),
    ];
    let options: Vec<String> = options.iter().map(|(name, value)| format!("{name} '{value}'")).collect();
    // Agents may not open connections without a password: both are given to them here.
    let bridges = format!(
        "create extension dblink; create extension postgres_fdw;
        grant execute on function dblink_connect_u(text, text) to app;
        create server here foreign data wrapper postgres_fdw options ({});
        create user mapping for app server here options (user 'app', password_required 'false');
        create foreign table t.remote (id int, s text, secret text) server here options (schema_name 't', table_name 'v');
        create foreign table t.remote_me (me text) server here options (schema_name 't', table_name 'me');
        create view t.me with (security_invoker) as select kakunin_cert_serial() as me;
        grant select on t.remote, t.remote_me, t.me to app",
        options.join(", ")
    );
    run(&mut superuser, &bridges);
    let mut app = scene.app();
    bind_session(&mut app, &scene.a);
    checks.equal("here", seen(&mut app, "t.v"), "1,2");
    run(&mut app, &format!("select dblink_connect_u('away', $$ {connection} $$)"));
    let away = "select count from dblink('away', 'select count(*) from t.v') as r(count bigint)";
    checks.equal("dblink: rows", ask(&mut app, away), "0");
    let who = "select who from dblink('away', 'select kakunin_cert_serial()') as r(who text)";
    checks.equal("dblink: who", ask(&mut app, who), "NULL");
    checks.equal("postgres_fdw: rows", seen(&mut app, "t.remote"), "");
    checks.equal("postgres_fdw: who", ask(&mut app, "select me from t.remote_me"), "NULL");
    checks.equal("both in one statement", ask(&mut app, "select count(*) from t.v, t.remote"), "0");
    checks.equal("here still", seen(&mut app, "t.v"), "1,2");
    // Unless that session proves something itself: then it is bound, and only for itself.
    let mut other = scene.app();
    checks.equal("a third session", seen(&mut other, "t.v"), "");
    run(&mut app, "select dblink_disconnect('away')");
}

#[test]
fn t65_another_session_of_the_role_reads_literals_and_no_bind_parameters() {
    let scene = Scene::new();
    let mut checks = Checks::new();
    let (mut one, mut two) = (scene.app(), scene.app());
    bind_session(&mut one, &scene.a);
    let process = ask(&mut one, "select pg_backend_pid()");
    let look = format!("select query from pg_stat_activity where pid = {process}");
    // Policies do not hold for what the server shows of statements: PostgreSQL shows it to the same role.
    run(&mut one, "select id from t.v where secret = 'in the text'");
    checks.equal("a literal", ask(&mut two, &look), "select id from t.v where secret = 'in the text'");
    one.query("select id from t.v where secret = $1", &[&"bound apart"]).expect("an agent may read");
    checks.equal("a parameter", ask(&mut two, &look), "select id from t.v where secret = $1");
    let proof = kakunin_tests::scene::proof(&mut one, &scene.a);
    one.execute("select kakunin.bind_session($1)", &[&proof]).expect("the same identity again");
    checks.equal("a proof", ask(&mut two, &look), "select kakunin.bind_session($1)");
    // A statement that is refused stays visible too: with a literal the proof would be.
    run(&mut one, "begin");
    let refusal = refused_inside(&mut one, &format!("select kakunin.bind_session('{proof}')"));
    checks.holds("a used proof", refusal.sqlstate == "28000", &refusal);
    checks.holds("its words hide it", !refusal.text().contains(&proof), refusal.text());
    run(&mut one, "rollback");
    // Another role sees nothing of it.
    run(&mut scene.superuser(), "create role stranger login");
    let mut stranger = scene.cluster.connect("stranger", DATABASE);
    checks.equal("another role", ask(&mut stranger, &look), "<insufficient privilege>");
}
