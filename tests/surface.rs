//! What the extension puts into a database, as a whole.

use kakunin_tests::Cluster;

/// One column of one row per line.
fn list(cluster: &Cluster, query: &str) -> Vec<String> {
    let rows = cluster.superuser().query(query, &[]).expect("the query runs");
    rows.iter().map(|row| row.get(0)).collect()
}

#[test]
fn every_object_of_the_extension_has_a_comment() {
    let cluster = Cluster::start();
    // A table's row type and an array type come with what they are of.
    let silent = list(
        &cluster,
        "select pg_describe_object(classid, objid, 0)
        from pg_depend d
        where refclassid = 'pg_extension'::regclass and deptype = 'e'
            and refobjid = (select oid from pg_extension where extname = 'kakunin')
            and obj_description(objid, classid::regclass::name) is null
            and not exists (
                select from pg_type t
                where d.classid = 'pg_type'::regclass and t.oid = d.objid
                    and (t.typelem <> 0 or t.typrelid in (select oid from pg_class where relkind <> 'c')))
        order by 1",
    );
    assert!(silent.is_empty(), "these have no comment:\n  {}\n", silent.join("\n  "));
}

#[test]
fn every_role_of_the_extension_has_a_comment_and_cannot_log_in() {
    let cluster = Cluster::start();
    let wrong = list(
        &cluster,
        "select rolname::text from pg_roles
        where rolname like 'kakunin\\_%'
            and (rolcanlogin or rolsuper or rolbypassrls or rolcreaterole or shobj_description(oid, 'pg_authid') is null)
        order by 1",
    );
    assert!(wrong.is_empty(), "{}", wrong.join(", "));
}

#[test]
fn a_database_is_as_before_once_the_extension_is_dropped() {
    let cluster = Cluster::builder().without_extension().start();
    let objects = "select class || ' ' || count::text from (
            select 'pg_proc' as class, count(*) from pg_proc
            union all select 'pg_class', count(*) from pg_class
            union all select 'pg_type', count(*) from pg_type
            union all select 'pg_namespace', count(*) from pg_namespace
            union all select 'pg_depend', count(*) from pg_depend
            union all select 'pg_event_trigger', count(*) from pg_event_trigger) as each
        order by 1";
    let before = list(&cluster, objects);
    let cycle = "create extension kakunin; drop extension kakunin cascade;";
    cluster.superuser().batch_execute(cycle).expect("it can be created and dropped");
    assert_eq!(list(&cluster, objects), before);
    cluster.superuser().batch_execute("create extension kakunin").expect("and created again");
}
