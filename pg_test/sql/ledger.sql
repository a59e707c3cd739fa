-- A ledger as its users meet it: attached, added to, verified; and what it says when it is not as they thought.
create table book (id int primary key, body text, owed numeric(10, 2) default 0);
insert into book values (1, 'there before', 1.5);

-- What attaching does; the ledger's number is drawn, so it is left out
select step, regexp_replace(detail, 'ledger [0-9a-f-]{36}', 'ledger ...') as detail from kakunin.attach_ledger('book', '{body}');
select attname as column, format_type(atttypid, atttypmod) as type, attnotnull as not_null, pg_get_expr(adbin, adrelid) as default
from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
where attrelid = 'book'::regclass and attnum > 0 order by attnum;
select tgname as trigger, tgenabled as enabled from pg_trigger where tgrelid = 'book'::regclass order by tgname;

-- Rows are added as ever, one entry for each transaction
insert into book (id, body) values (2, 'a'), (3, 'b') returning id, ledger_row;
begin;
insert into book (id, body) values (4, 'c');
savepoint s;
insert into book (id, body) values (5, 'given up');
rollback to s;
insert into book (id, body) values (6, 'd') returning id, ledger_row;
commit;
insert into book (id, body) values (7, 'x') on conflict do nothing;
insert into book (id, body) values (7, 'x') on conflict do nothing;
select seq, kind, first_row, rows, tx > 0 as has_rows, detail <> '' as has_detail, length(root) as root,
    length(hash) as hash, previous = lag(hash, 1, decode(repeat('00', 32), 'hex')) over (order by seq) as linked
from kakunin.ledger_entry join kakunin.ledger l on l.number = ledger where relation = 'book'::regclass order by seq;
select c.number, name, type, redactable from kakunin.ledger_column c join kakunin.ledger l on l.number = c.ledger
where relation = 'book'::regclass order by c.number;
select * from kakunin.verify_ledger('book');

-- It only grows
update book set body = 'x';
delete from book where id = 1;
truncate book;
insert into book (id, body) values (1, 'x') on conflict (id) do update set body = 'x';
merge into book using (values (1)) v(id) on book.id = v.id when matched then delete;
drop table book;
alter table book disable trigger ledger_append;

-- A row's place is not for the caller to choose
create role regress_writer;
grant insert, select on book to regress_writer;
set role regress_writer;
insert into book (id, ledger_tx) values (8, 1);
insert into book (id, ledger_row) values (8, 0);
insert into book (id, ledger_salt) values (8, '');
update book set body = 'x';
insert into book (id, body) values (8, 'as ever') returning ledger_row;
reset role;

-- What cannot be one
select kakunin.attach_ledger('book');
create table no_key (id int);
select kakunin.attach_ledger('no_key');
create unlogged table passing (id int primary key);
select kakunin.attach_ledger('passing');
create table odd (id int primary key, about regclass);
select kakunin.attach_ledger('odd');
create table plain (id int primary key, body text not null);
select kakunin.attach_ledger('plain', '{body}');
select kakunin.attach_ledger('plain', '{nobody}');
select kakunin.attach_ledger(null);
select kakunin.verify_ledger('plain');
select kakunin.ledger_append();
select kakunin.ledger_refuse();
select * from kakunin.verify_ledger();

revoke all on book from regress_writer;
drop role regress_writer;
drop table no_key, passing, odd, plain;
