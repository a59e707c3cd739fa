//! Every type that a column of a ledger can have, with values that have tripped somebody up.

/// What the types below need.
pub const SCHEMA: &str = r#"
    create extension hstore;
    create extension citext;
    create type mood as enum ('sad', 'ok', 'happy ☺');
    create type inner_pair as (a integer, gone text, b numeric);
    create type pair as (x text, gone integer, y inner_pair, z mood[]);
    alter type inner_pair drop attribute gone;
    alter type pair drop attribute gone;
    create type float_range as range (subtype = float8, multirange_type_name = float_multirange);
    create type mood_range as range (subtype = mood);
    create domain positive as integer check (value > 0);
    create domain small_positive as positive check (value < 100);
    create domain integers as integer[] check (array_length(value, 1) < 10);
    create domain known_pair as pair check (value is null or (value).x is not null);
    create domain days as daterange;
"#;

/// A type, and values of it: one a row, NULL where there are fewer than in another.
pub const COLUMNS: &[(&str, &[&str])] = &[
    ("boolean", &["true", "false"]),
    ("smallint", &["-32768", "32767", "0"]),
    ("integer", &["-2147483648", "2147483647", "0"]),
    ("bigint", &["-9223372036854775808", "9223372036854775807", "0"]),
    ("oid", &["0", "4294967295", "2147483648"]),
    ("real", &["1.5", "'-0'", "'NaN'", "'Infinity'", "'-Infinity'", "'1e-45'", "0", "'Infinity'::real - 'Infinity'"]),
    (
        "double precision",
        &[
            "0.1",
            "'-0'",
            "'NaN'",
            "'-Infinity'",
            "'5e-324'",
            "'1.7976931348623157e308'",
            "0",
            "'Infinity'::float8 - 'Infinity'",
        ],
    ),
    (
        "numeric",
        &[
            "1.10",
            "1.1",
            "'-0.00'",
            "0",
            "'NaN'",
            "'Infinity'",
            "'-Infinity'",
            "1e300",
            "-1e-300",
            "123456789.987654321",
            "0.0001",
            "-10000",
            "9999",
            "1e131071",
            "1e-16383",
            "10000.0001",
        ],
    ),
    ("numeric(12, 4)", &["1.1", "-99999999.9999", "0"]),
    (
        "text",
        &[
            "''",
            "'a b '",
            "'日本 é 😀'",
            "E'tab\\tline\\nnull is not possible \\x01'",
            "repeat('long ', 600000)",
            LONG_TEXT,
        ],
    ),
    ("varchar(10)", &["'abc  '", "''", "'日本'"]),
    ("char(5)", &["'ab'", "''", "'é'", "'abcde'"]),
    ("\"char\"", &["'x'", "''", "'\\351'"]),
    ("name", &["'a name'", "''", "'日本'"]),
    ("json", &["' { \"b\" : 1.0, \"a\":  1e2, \"a\": null } '", "'null'", "'\"\\u00e9\"'"]),
    ("xml", &["'<a>b</a>'", "'<é x=\"1\"/>'"]),
    ("bytea", &["''", "'\\x00ff5c27'", "decode(repeat('00ff', 1500000), 'hex')", LONG_BYTES]),
    (
        "timestamptz",
        &[
            "'infinity'",
            "'-infinity'",
            "'2024-02-29 12:34:56.789012+02'",
            "'4713-01-01 00:00 BC'",
            "'294276-12-31 UTC'",
        ],
    ),
    ("timestamp", &["'infinity'", "'-infinity'", "'2024-02-29 12:34:56.789012'", "'1999-12-31 23:59:59.999999'"]),
    ("date", &["'infinity'", "'-infinity'", "'2024-02-29'", "'4713-01-01 BC'", "'1999-12-31'"]),
    ("time", &["'24:00'", "'00:00:00.000001'", "'12:34'"]),
    ("timetz", &["'12:00+02'", "'23:59:59.999999-15:59'"]),
    ("interval", &["'1 year -2 days 3.5 seconds'", "'-178000000 years'", "'0'", "'24 hours'", "'1 day'"]),
    ("uuid", &["'00000000-0000-0000-0000-000000000000'", "'FFEEDDCC-BBAA-9988-7766-554433221100'"]),
    (
        "jsonb",
        &[
            r#"'{"b": 1, "a": {"z": [], "y": {}}, "aa": [[], {}, [null]]}'"#,
            "'[1.10, 1e2, -0, -0.0, 1e-7, 12345678901234567890.12300, 1e300, 0.0, 100]'",
            r#"'"\u00e9\ud83d\ude00\u0001\u001f\\\"/\b\f\n\r\t\u007f\u2028"'"#,
            r#"'{"\ufb33": 1, "\ud83d\ude00": 2, "1": 3, "é": 4, "\r": 5, "": 6, "B": 7, "b": 8, "10": 9, "2": 10}'"#,
            "'null'",
            "'true'",
            "'-1.50'",
            "'\"\"'",
            "'[]'",
            "'{}'",
            r#"'{"a": 1, "a": 2}'"#,
            "(repeat('[', 1500) || repeat(']', 1500))::jsonb",
            "(repeat('{\"k\":[', 500) || '7' || repeat(']}', 500))::jsonb",
            "(select jsonb_object_agg('key ' || n, repeat(md5(n::text), 10)) from generate_series(1, 5000) n)",
            "'[[1, [2, {\"c\": [false]}]], \"1\"]'",
        ],
    ),
    ("mood", &["'sad'", "'happy ☺'"]),
    (
        "integer[]",
        &[
            "'{}'",
            "'{1,NULL,3}'",
            "'{{1,2},{3,4}}'",
            "'[-5:-4][2:3]={{1,2},{3,NULL}}'",
            "'{{{{{{1}}}}}}'",
            "(select array_agg(n) from generate_series(1, 200000) n)",
            "'[7:7]={NULL}'",
        ],
    ),
    ("text[]", &["'{a,NULL,\"\",\"NULL\"}'", "array[repeat('y', 500000), 'z']", "array[]::text[]"]),
    ("numeric[]", &["'{1.10,1.1,NaN,-Infinity}'"]),
    ("boolean[]", &["'{t,f,NULL}'"]),
    ("mood[]", &["'{sad,NULL,ok}'"]),
    ("interval[]", &["'{1 day,24 hours}'"]),
    ("jsonb[]", &["array['{\"b\": 1, \"a\": 1.0}', 'null']::jsonb[]"]),
    ("inet[]", &["'{10.0.0.1,::1/64,NULL}'"]),
    (
        "pair",
        &[
            "row('x', row(1, 1.10)::inner_pair, '{ok}')",
            "row(null, null, null)",
            "row('', row(null, null)::inner_pair, '{}')",
            "row(repeat('in a composite ', 100000), row(7, 'NaN')::inner_pair, null)",
        ],
    ),
    ("pair[]", &["array[row('x', row(1, 2)::inner_pair, null)::pair, null]", "'{}'"]),
    ("int4range", &["'empty'", "'[1,10)'", "'(,)'", "'(,5]'", "'[3,)'", "'(1,3]'"]),
    ("numrange", &["'[1.10,2]'", "'(0,)'", "'(-1,1)'", "'[0,Infinity]'"]),
    ("tstzrange", &["'[2024-01-01 UTC,infinity)'", "'(,-infinity]'"]),
    ("float_range", &["'[-0,NaN]'", "'(1,2)'"]),
    ("mood_range", &["'[sad,ok]'", "'empty'"]),
    ("int4range[]", &["'{\"[1,2)\",empty,NULL}'"]),
    ("int4multirange", &["'{}'", "'{[1,2),[5,)}'", "'{(,)}'"]),
    ("datemultirange", &["'{[2024-01-01,2024-02-01),[2025-01-01,infinity)}'"]),
    ("float_multirange", &["'{(1,2),(3,4]}'", "'{[-Infinity,0)}'"]),
    ("small_positive", &["1", "99"]),
    ("integers", &["'{1,2}'", "'[0:0]={5}'"]),
    ("known_pair", &["row('known', null, null)"]),
    ("known_pair[]", &["array[row('known', row(1, 2)::inner_pair, '{sad}')::known_pair]"]),
    ("days", &["'[2024-01-01,2024-01-31]'"]),
    ("days[]", &["'{\"(,2024-01-31]\"}'"]),
    ("bit(9)", &["B'101101110'", "B'000000000'"]),
    ("bit varying", &["B''", "B'1'", "B'10110111'", "B'101101111'"]),
    ("inet", &["'10.0.0.1'", "'::1/64'"]),
    ("cidr", &["'10.0.0.0/8'"]),
    ("macaddr", &["'08:00:2b:01:02:03'"]),
    ("macaddr8", &["'08:00:2b:01:02:03:04:05'"]),
    ("money", &["'-12.34'"]),
    ("point", &["'(1,-0)'", "'(NaN,Infinity)'"]),
    ("box", &["'((0,0),(1,1))'"]),
    ("polygon", &["'((0,0),(1,1),(2,0))'"]),
    ("circle", &["'<(0,0),1>'"]),
    ("tsvector", &["'a:1 b:2,3A ''é c'''", "''"]),
    ("tsquery", &["'a & !(b | c:*)'"]),
    ("pg_lsn", &["'16/B374D848'"]),
    ("xid8", &["'18446744073709551615'"]),
    ("tid", &["'(7,9)'"]),
    ("pg_snapshot", &["'10:20:10,14'"]),
    ("jsonpath", &["'$.a[*] ? (@ > 1)'"]),
    ("int2vector", &["'1 2 -3'"]),
    ("hstore", &["'a=>1, \"b c\"=>NULL'", "''"]),
    ("citext", &["'MiXed É'", "'mixed é'"]),
    ("citext[]", &["'{A,b}'"]),
];

/// Does not shrink by compression, and is stored elsewhere.
const LONG_TEXT: &str = "(select string_agg(md5(n::text), '') from generate_series(1, 70000) n)";
const LONG_BYTES: &str = "(select string_agg(sha256(n::text::bytea), '') from generate_series(1, 70000) n)";
