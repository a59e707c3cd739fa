//! A cluster with a log: what tests about checkpoints begin with, and the words they ask with.

use super::client::refusal_of;
use super::cluster::Cluster;
use super::scene::{ask, run, try_ask};
use kakunin_core::ledger::note::{Checkpoint, Note};
use postgres::Client;

/// A cluster with two ledgers, `a` and `b`, and a log of the name `example.org`.
pub fn start() -> Cluster {
    let cluster = Cluster::start();
    run(
        &mut cluster.superuser(),
        "create table a (id bigint generated always as identity primary key, v text);
         create table b (id bigint generated always as identity primary key, v text);
         select kakunin.attach_ledger('a'); select kakunin.attach_ledger('b'); select kakunin.name_log('example.org')",
    );
    cluster
}

/// Adds a row to a ledger, in a transaction of its own.
pub fn insert(client: &mut Client, table: &str) {
    run(client, &format!("insert into {table} (v) values ('x')"));
}

/// Makes a checkpoint.
pub fn note(client: &mut Client) -> Checkpoint {
    read(&ask(client, "select kakunin.checkpoint()"))
}

/// What a note says.
pub fn read(note: &str) -> Checkpoint {
    Checkpoint::parse(Note::parse(note).expect("a note").text()).expect("a checkpoint")
}

/// The note that was published.
pub fn published(cluster: &Cluster) -> Checkpoint {
    read(&std::fs::read_to_string(cluster.key_directory().join("example.org.checkpoint")).expect("it is there"))
}

/// How a checkpoint ends: its size, or SQLSTATE and slug.
pub fn outcome(client: &mut Client) -> String {
    match try_ask(client, "select kakunin.checkpoint()") {
        Ok(text) => read(&text).size.to_string(),
        Err(error) => {
            let refusal = refusal_of::<()>(Err(error));
            format!("{} {}", refusal.sqlstate, refusal.slug())
        }
    }
}

/// That all is as it must be: the ranges of the log follow each other without gaps up to the newest checkpoint, those of
/// each ledger too, and no ledger has a fault.
pub fn sound(client: &mut Client) -> String {
    ask(
        client,
        "with range as (
            select *, last_seq - first_seq + 1 as entries,
                coalesce(lag(last_seq) over (partition by ledger order by first_seq), 0) + 1 as expected_seq,
                sum(last_seq - first_seq + 1) over (order by first_index) as reached
            from kakunin.log_range)
        select bool_and(first_index = reached - entries and first_seq = expected_seq)
            and max(reached) = (select max(size) from kakunin.checkpoint)
            and not exists (select from kakunin.verify_ledger())
        from range",
    )
}

/// The size of the note that was published; 0 while there is none.
pub fn published_or_none(cluster: &Cluster) -> u64 {
    let file = cluster.key_directory().join("example.org.checkpoint");
    std::fs::read_to_string(file).map_or(0, |note| read(&note).size)
}
