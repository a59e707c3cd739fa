//! The same tables in several schemas, with the same policies written in several ways: with bare calls, with calls in
//! a subquery, with calls behind SQL functions, and with the values that the calls have for one identity. A statement
//! must come to the same end in all of them.

use kakunin_tests::scene::{Scene, ask, bind_session, run};
use postgres::{Client, SimpleQueryMessage};

/// Who a session is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Agent `a`, who may read notes about two instruments.
    A,
    /// Agent `b`, to whom no instrument is permitted.
    B,
    /// Nobody.
    Unbound,
}

impl Who {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::A, Self::B, Self::Unbound];

    /// The schema whose policies hold this identity's values.
    pub fn fixed(self) -> &'static str {
        match self {
            Self::A => "fixed_a",
            Self::B => "fixed_b",
            Self::Unbound => "fixed_unbound",
        }
    }
}

/// The schemas whose policies call.
pub const CALLING: [&str; 3] = ["bare", "wrapped", "behind"];

/// A scene with the schemas.
pub struct Worlds {
    /// The cluster and the agents.
    pub scene: Scene,
}

impl Worlds {
    /// Makes all schemas.
    pub fn new() -> Self {
        let scene = Scene::new();
        let mut superuser = scene.superuser();
        run(&mut superuser, COMMON);
        for (schema, words) in [
            ("bare", BARE),
            ("wrapped", WRAPPED),
            (
                "behind",
                ["t.me()", "t.agent()", "t.instruments()", "t.may('note:read')", "t.may('other')", "t.version()"],
            ),
            ("fixed_a", ["'4A'::text", "'a'::text", "array['EURUSD', 'GBPUSD']", "true", "false", "'1'::text"]),
            ("fixed_b", ["'4B'::text", "'b'::text", "null::text[]", "false", "false", "'1'::text"]),
            ("fixed_unbound", ["null::text", "null::text", "null::text[]", "false", "false", "null::text"]),
        ] {
            let mut world = WORLD.replace("{schema}", schema);
            for (place, word) in PLACES.iter().zip(words) {
                world = world.replace(place, word);
            }
            run(&mut superuser, &world);
        }
        let worlds = Self { scene };
        // What stands in the fixed schemas is what the calls answer.
        for (who, expected) in [
            (Who::A, "4A|a|{EURUSD,GBPUSD}|t|f|1"),
            (Who::B, "4B|b|NULL|f|f|1"),
            (Who::Unbound, "NULL|NULL|NULL|f|f|NULL"),
        ] {
            let values = format!("select {}", BARE.join(", "));
            assert_eq!(ask(&mut worlds.session(who), &values), expected);
        }
        worlds
    }

    /// A session of `app`, bound until it ends.
    pub fn session(&self, who: Who) -> Client {
        let mut session = self.scene.app();
        match who {
            Who::A => bind_session(&mut session, &self.scene.a),
            Who::B => bind_session(&mut session, &self.scene.b),
            Who::Unbound => {}
        }
        session
    }
}

/// How statements end in a schema, in a transaction that is rolled back: all rows, sorted; where they change something,
/// what is in the tables afterwards, hidden rows included; or the refusal.
///
/// # Panics
/// When the server does not answer.
pub fn outcome(client: &mut Client, schema: &str, settings: &str, statements: &str) -> String {
    let text = format!(
        "begin; set local search_path = {schema}, public; {settings}; {statements}; select t.dump('{schema}'); rollback"
    );
    match client.simple_query(&text) {
        Ok(messages) => {
            let mut rows: Vec<String> = messages
                .iter()
                .filter_map(|message| match message {
                    SimpleQueryMessage::Row(row) => {
                        let columns: Vec<&str> = (0..row.len()).map(|n| row.get(n).unwrap_or("NULL")).collect();
                        Some(columns.join("|"))
                    }
                    _ => None,
                })
                .collect();
            rows.sort();
            rows.join("\n")
        }
        Err(error) => {
            let Some(refusal) = error.as_db_error() else {
                panic!("the server did not answer: {error}\n{schema}\n{settings}\n{statements}")
            };
            let end = format!("{} {}", refusal.code().code(), refusal.message().replace(schema, "{schema}"));
            run(client, "rollback");
            end
        }
    }
}

/// What differs between the schemas.
const PLACES: [&str; 6] = ["{me}", "{agent}", "{instruments}", "{may}", "{may_not}", "{version}"];

const BARE: [&str; 6] = [
    "kakunin_cert_serial()",
    "kakunin_agent_id()",
    "kakunin_permitted_instruments()",
    "kakunin_allows('note:read', instrument => 'EURUSD')",
    "kakunin_allows('other')",
    "kakunin_scope() ->> 'v'",
];

const WRAPPED: [&str; 6] = [
    "(select kakunin_cert_serial())",
    "(select kakunin_agent_id())",
    // Without the cast, ANY would take it for a subquery with rows of its own.
    "(select kakunin_permitted_instruments())::text[]",
    "(select kakunin_allows('note:read', instrument => 'EURUSD'))",
    "(select kakunin_allows('other'))",
    "(select kakunin_scope() ->> 'v')",
];

const COMMON: &str = "
    create function t.me() returns text stable parallel safe language sql as 'select public.kakunin_cert_serial()';
    create function t.agent() returns text stable parallel safe language sql as 'select public.kakunin_agent_id()';
    create function t.instruments() returns text[] stable parallel safe language sql
        as 'select public.kakunin_permitted_instruments()';
    create function t.may(action text) returns boolean stable parallel safe language sql
        as $$ select public.kakunin_allows($1, instrument => 'EURUSD') $$;
    create function t.version() returns text stable parallel safe language sql
        as $$ select public.kakunin_scope() ->> 'v' $$;
    -- What is in the tables of a schema, whoever asks.
    create function t.dump(world text) returns text volatile language plpgsql security definer as $$
    declare
        relation text;
        rows text;
        result text := '';
    begin
        foreach relation in array array['note', 'item', 'trade', 'deed', 'part', 'wide'] loop
            execute format('select count(*) || ''/'' || sum(hashtext(x::text)::bigint) from %I.%I x', world, relation) into rows;
            result := result || relation || ' ' || coalesce(rows, '') || ' ';
        end loop;
        return result;
    end
    $$;
";

const WORLD: &str = "
    create schema {schema};
    grant usage on schema {schema} to app;
    set local search_path = {schema}, public;
    create table note (id int primary key, s text, grp int not null, body text not null);
    insert into note select g, (array['4A', '4A', '4B', '4C', '', null])[1 + g % 6], g % 5, 'note ' || g
      from generate_series(1, 120) g;
    create index on note (s);
    create index on note (grp);
    create table item (id int primary key, note_id int not null, s text, amount int not null);
    insert into item select g, 1 + g * 7 % 120, (array['4A', '4B', '4C'])[1 + g % 3], g % 11 from generate_series(1, 200) g;
    create index on item (note_id);
    create table trade (id int primary key, instrument text, owner text, qty int not null);
    insert into trade select g, (array['EURUSD', 'GBPUSD', 'USDJPY', null])[1 + g % 4], (array['a', 'b'])[1 + g % 2], g % 9
      from generate_series(1, 90) g;
    create table deed (id int primary key, s varchar(20), open boolean not null, x int not null);
    insert into deed select g, (array['4A', '4B'])[1 + g % 2], g % 7 = 0, g from generate_series(1, 60) g;
    create table part (id int not null, s text, x int not null) partition by list (s);
    create table part_a partition of part for values in ('4A');
    create table part_b partition of part for values in ('4B', null);
    create table part_rest partition of part default;
    insert into part select g, (array['4A', '4B', '4C', null])[1 + g % 4], g % 6 from generate_series(1, 100) g;
    create index on part (id);
    create table wide (id int primary key, s text not null, x int not null, pad text not null);
    insert into wide select g, (array['4A', '4B', '4C', '4D'])[1 + g % 4], g % 10, repeat('x', 100) from generate_series(1, 3000) g;
    create index on wide (s, x);
    create table shut (id int primary key, x int not null);
    insert into shut select g, g from generate_series(1, 10) g;

    alter table note enable row level security;
    create policy own on note using (s = {me});
    alter table item enable row level security;
    create policy own on item using (s = {me} or amount < 3);
    alter table trade enable row level security;
    create policy own on trade using (instrument = any ({instruments}) and {may} or owner = {agent} and qty > 4);
    alter table deed enable row level security;
    create policy open_to_read on deed for select using (open);
    create policy own on deed using (s = {me});
    create policy bound on deed as restrictive using ({version} = '1') with check (s = {me} and coalesce({agent}, '') <> '');
    alter table part enable row level security;
    create policy own on part using ({me} = s);
    alter table wide enable row level security;
    create policy own on wide using (case when x < 8 then s = {me} else s = {me} and {version} is not null end);
    alter table shut enable row level security;
    create policy own on shut using ({may_not});

    create view everything with (security_invoker) as
        select id, s, grp as k from note union all select id, s, amount from item union all select id, s::text, x from deed;
    create view barrier with (security_invoker, security_barrier) as select id, s, grp, body from note where grp <> 2;
    create view counted with (security_invoker) as select grp, count(*) as n, max(id) as last from note group by grp;
    create function of_group(int) returns setof note stable language sql as 'select * from {schema}.note where grp = $1';
    create function of_group_plpgsql(int) returns setof note stable language plpgsql
        as 'begin return query select * from {schema}.note where grp = $1; end';
    create function items_of(int) returns bigint stable language sql as 'select count(*) from {schema}.item where note_id = $1';
    grant select, insert, update, delete on all tables in schema {schema} to app;
    analyze note, item, trade, deed, part, part_a, part_b, part_rest, wide, shut;
    reset search_path;
";
