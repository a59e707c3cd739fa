//! N08: a binding that has ended, by time or by revocation, has ended for the next statement, of whatever kind.

use kakunin_tests::scene::try_ask;
use kakunin_tests::stage::{Stage, bind, notes, serial_seen, text, verdict};
use kakunin_tests::{Checks, Identity, LeafRequest, sqlstate_of, wait_until};
use postgres::Client;

/// How a certificate's use ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// notAfter passes.
    Time,
    /// It is revoked.
    Revocation,
}

impl End {
    fn bring(self, stage: &Stage, agent: &Identity) {
        match self {
            Self::Time => stage.clock.advance(2 * 86_400),
            Self::Revocation => stage.revoke(agent),
        }
    }
}

/// A stage whose agent is good for a day, with tables for the readers below.
fn prepare() -> (Stage, Identity) {
    let stage = Stage::new();
    let agent = stage.pki.intermediate.issue(&LeafRequest::agent("alpha").valid("-60", "86400"));
    stage.enrol(&agent);
    let scene = format!(
        "create table many (id int primary key, permitted_agent_serial text);
         insert into many select n, case n % 10 when 0 then '{serial}' else 'other' end from generate_series(1, 5000) n;
         create table plain as select * from many;
         select from kakunin.protect_table('many');
         grant select on many, plain to app;
         create view seen with (security_invoker) as select id from note;
         grant select on seen to app;
         create function note_count() returns bigint stable language sql begin atomic select count(*) from note; end;
         create function note_count_dynamic() returns bigint language plpgsql as
             $$ declare n bigint; begin execute 'select count(*) from note' into n; return n; end $$;
         analyze;",
        serial = agent.serial()
    );
    stage.cluster.superuser().batch_execute(&scene).expect("a superuser may");
    (stage, agent)
}

/// What the last of the statements shows, or its SQLSTATE.
fn ask(client: &mut Client, statements: &str) -> String {
    try_ask(client, statements).unwrap_or_else(|error| sqlstate_of(&error))
}

const COUNT: &str = "select count(*) from note";

/// Name; what the session does while it is bound; the statement; what it shows before and after the end.
const READERS: &[(&str, &str, &str, &str, &str)] = &[
    ("a plain statement", "", COUNT, "2", "0"),
    ("a view", "", "select count(*) from seen", "2", "0"),
    ("a stable function", "", "select note_count()", "2", "0"),
    ("a function that asks anew", "", "select note_count_dynamic()", "2", "0"),
    ("a join", "", "select count(*) from note a join note b on a.id <> b.id", "2", "0"),
    ("a prepared statement", "prepare q as select count(*) from note; execute q", "execute q", "2", "0"),
    (
        "a prepared statement with a kept plan",
        "set plan_cache_mode = force_generic_plan; prepare q(int) as select count(*) from note where id > $1; execute q(0)",
        "execute q(0)",
        "2",
        "0",
    ),
    ("a repeatable read transaction", "begin isolation level repeatable read; select count(*) from note", COUNT, "2", "0"),
    ("a serializable transaction", "begin isolation level serializable; select count(*) from note", COUNT, "2", "0"),
    ("a read only transaction", "begin read only; select count(*) from note", COUNT, "2", "0"),
    (
        "inside a savepoint",
        "begin; savepoint s; select count(*) from note; savepoint t",
        "rollback to t; select count(*) from note",
        "2",
        "0",
    ),
    (
        "a policy in parallel workers",
        PARALLEL,
        "select count(*) from many",
        "500",
        "0",
    ),
    (
        "bare calls in parallel workers",
        PARALLEL,
        "select count(*) from plain where permitted_agent_serial = kakunin_cert_serial()",
        "500",
        "0",
    ),
    (
        "workers of a transaction with an old snapshot",
        "set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0;
         begin isolation level repeatable read; select count(*) from many",
        "select count(*) from plain where permitted_agent_serial = kakunin_cert_serial()",
        "500",
        "0",
    ),
    (
        "an insert",
        "",
        "insert into note (permitted_agent_serial, body) values (current_setting('stage.serial'), 'new') returning body",
        "new",
        "42501",
    ),
    ("an update", "", "update note set body = 'changed' returning body", "changed,changed,changed", ""),
    (
        "an update to somebody else's",
        "",
        "update note set permitted_agent_serial = 'FF' returning body",
        "42501",
        "",
    ),
    (
        "the policy functions",
        "",
        "select concat_ws('|', kakunin_cert_serial() is null, kakunin_cert_fingerprint() is null, kakunin_agent_id() is null,
            kakunin_tenant_id() is null, kakunin_cert_status() is null, kakunin_binding_source() is null,
            kakunin_scope() is null, kakunin_permitted_instruments() is null, kakunin_allows('read.note'),
            kakunin.current_binding() is null)",
        "f|f|f|f|f|f|f|t|t|f",
        "t|t|t|t|t|t|t|t|f|t",
    ),
];

const PARALLEL: &str = "set parallel_setup_cost = 0; set parallel_tuple_cost = 0; set min_parallel_table_scan_size = 0;
    set max_parallel_workers_per_gather = 2; set parallel_leader_participation = off";

fn every_reader_sees(end: End) {
    let (stage, agent) = prepare();
    let mut checks = Checks::new();
    let mut sessions = Vec::new();
    for (name, setup, statement, before, _) in READERS {
        let mut session = stage.bound(&agent);
        let serial = format!("set stage.serial = '{}'", agent.serial());
        for statements in [&*serial, setup] {
            session.batch_execute(statements).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        }
        checks.equal(&format!("{name}, before"), ask(&mut session, statement), *before);
        sessions.push(session);
    }
    let mut in_transaction = stage.connect();
    in_transaction.batch_execute("begin").expect("a transaction can begin");
    bind(&mut in_transaction, &stage.proof(&agent)).expect("a fresh proof binds");
    // The insert above was committed.
    checks.equal("bound for a transaction, before", notes(&mut in_transaction), 3);
    let mut extended = stage.bound(&agent);
    let prepared = extended.prepare("select count(*) from note where id > $1").expect("it can be prepared");
    let mut count = || -> i64 { extended.query_one(&prepared, &[&0]).expect("reading is never an error").get(0) };
    for _ in 0..7 {
        checks.equal("a prepared statement of the protocol, before", count(), 3);
    }

    end.bring(&stage, &agent);
    for ((name, _, statement, _, after), session) in READERS.iter().zip(&mut sessions) {
        checks.equal(&format!("{name}, after {end:?}"), ask(session, statement), *after);
    }
    checks.equal(&format!("bound for a transaction, after {end:?}"), notes(&mut in_transaction), 0);
    checks.equal(&format!("a prepared statement of the protocol, after {end:?}"), count(), 0);
    for statement in ["delete from note", "update note set body = 'x'"] {
        let touched = sessions[0].execute(statement, &[]).expect("there is nothing to touch");
        checks.equal(&format!("{statement}, after {end:?}"), touched, 0);
    }
    let merge =
        |condition: &str| format!("merge into note n using (values (0)) v(x) on {condition} when matched then delete");
    let found = verdict(sessions[0].execute(&merge("n.id > v.x"), &[])).0;
    checks.equal(&format!("a merge, after {end:?}"), found, "00000");
    // Where it reads no column, PostgreSQL says no instead of passing over the rows.
    let found = verdict(sessions[0].execute(&merge("true"), &[])).0;
    checks.equal(&format!("a merge that reads nothing, after {end:?}"), found, "42501");
    let rows = text(&mut stage.cluster.superuser(), "(select count(*) from note)");
    checks.equal("nothing was deleted", rows, Some("3".to_owned()));
}

#[test]
fn n08_when_not_after_passes_the_next_statement_sees_nothing() {
    every_reader_sees(End::Time);
}

#[test]
fn n08_after_a_revocation_the_next_statement_sees_nothing() {
    every_reader_sees(End::Revocation);
}

#[test]
fn n08_the_workers_above_were_really_there() {
    let (stage, agent) = prepare();
    let mut session = stage.bound(&agent);
    session.batch_execute(PARALLEL).expect("anyone may");
    let mut checks = Checks::new();
    for (name, query) in [
        ("a policy", "select count(*) from many"),
        ("a bare call", "select count(*) from plain where permitted_agent_serial = kakunin_cert_serial()"),
    ] {
        let plan = ask(&mut session, &format!("explain (analyze, costs off, timing off, summary off) {query}"));
        checks.holds(name, plan.contains("Workers Launched: 2"), &plan);
    }
}

/// PostgreSQL reads a cursor's rows as they are fetched, but it is one statement: what was bound when it began is what
/// it goes on with. It never shows another agent's rows.
#[test]
fn n08_an_open_cursor_goes_on_and_the_next_statement_does_not() {
    for end in [End::Time, End::Revocation] {
        let (stage, agent) = prepare();
        let mut checks = Checks::new();
        let mut session = stage.bound(&agent);
        session
            .batch_execute(
                "begin; declare c cursor for select id from many; declare late cursor for select id from many",
            )
            .expect("cursors can be declared");
        checks.equal("the first row, before", ask(&mut session, "fetch 1 from c"), "10");
        session.batch_execute("declare small cursor for select id from note").expect("cursors can be declared");
        checks.equal("the first row of a small table", ask(&mut session, "fetch 1 from small"), "1");
        end.bring(&stage, &agent);
        checks.equal(&format!("the cursor after {end:?}"), ask(&mut session, "fetch 1 from c"), "20");
        checks.equal(
            &format!("a cursor that had not begun, after {end:?}"),
            ask(&mut session, "fetch 1 from late"),
            "",
        );
        // Where a plan reads a few rows only, the policy asks for each row, so that such a cursor ends at once.
        checks.equal(
            &format!("a cursor over a small table, after {end:?}"),
            ask(&mut session, "fetch 1 from small"),
            "",
        );
        checks.equal(&format!("another statement after {end:?}"), ask(&mut session, COUNT), "0");
        session.batch_execute("declare d cursor for select id from many").expect("cursors can be declared");
        checks.equal(&format!("a cursor opened after {end:?}"), ask(&mut session, "fetch 1 from d"), "");
    }
}

/// One call of a function is one statement to the client; inside, each query counts.
#[test]
fn n08_a_loop_inside_one_function_sees_the_end() {
    for (end, isolation) in
        [(End::Time, "read committed"), (End::Revocation, "read committed"), (End::Revocation, "repeatable read")]
    {
        let (stage, agent) = prepare();
        let watch = "
            create function watch(out by_query bigint, out by_expression bigint) language plpgsql as $$
            declare
                n bigint;
            begin
                by_query := 0;
                by_expression := 0;
                loop
                    select count(*) into n from note;
                    exit when n = 0;
                    by_query := by_query + 1;
                    perform pg_sleep(0.002);
                end loop;
                while kakunin_cert_serial() is not null loop
                    by_expression := by_expression + 1;
                end loop;
            end
            $$;
            create function watch_expression() returns bigint language plpgsql as $$
            declare
                n bigint := 0;
            begin
                while kakunin_cert_serial() is not null loop
                    n := n + 1;
                    perform pg_sleep(0.002);
                end loop;
                return n;
            end
            $$;";
        stage.cluster.superuser().batch_execute(watch).expect("a superuser may");
        let mut checks = Checks::new();
        let calls = ["select by_query > 0 and by_expression = 0 from watch()", "select watch_expression() > 0"];
        let sessions: Vec<Client> = calls.iter().map(|_| stage.bound(&agent)).collect();
        let watchers: Vec<_> = sessions
            .into_iter()
            .zip(calls)
            .map(|(mut session, call)| {
                std::thread::spawn(move || {
                    // The end of the wait, should the loop not see what it must.
                    let begin = format!("set statement_timeout = '60s'; begin isolation level {isolation}");
                    session.batch_execute(&begin).expect("a transaction can begin");
                    let found = ask(&mut session, call);
                    (found, serial_seen(&mut session))
                })
            })
            .collect();
        let mut observer = stage.cluster.superuser();
        wait_until("both loops run", || {
            let asleep = "(select count(*) from pg_stat_activity where usename = 'app' and wait_event = 'PgSleep')";
            (text(&mut observer, asleep)? == "2").then_some(())
        });
        end.bring(&stage, &agent);
        for (watcher, call) in watchers.into_iter().zip(calls) {
            let (found, serial) = watcher.join().expect("no panic");
            checks.equal(&format!("{call}, {end:?}, {isolation}"), (&*found, serial), ("t", None));
        }
    }
}
