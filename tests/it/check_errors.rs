//! What `check` finds wrong once the SQL is planned: formats, diversions, directories, addresses.

use crate::support::Directory;

/// `pelton check` on `job.toml` with `text` reports exactly `expected`, a line each, and exits 2.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let outcome = Directory::with_job(text).pelton(&["check", "job.toml"]);
    let expected: String =
        expected.iter().map(|line| format!("error: job.toml:{line}\n")).collect();
    assert_eq!(outcome.stderr, expected, "{text}");
    outcome.expect_code(2);
}

/// A source in lines 1 to 5, and more of it from line 6 on.
fn source(more: &str) -> String {
    format!(
        "[sources.s]\nconnector = \"file\"\npath = \"in.json\"\nformat = \"json\"\n\
         schema = \"a BIGINT, b ARRAY<INT>\"\n{more}"
    )
}

#[test]
fn formats_that_cannot_carry_a_column() {
    let text = source("")
        + "[sinks.o]\nconnector = \"file\"\nformat = \"csv\"\npath = \"out\"\n\
           [sinks.r]\nconnector = \"file\"\nformat = \"raw\"\npath = \"raw\"\n\
           [query]\nsql = \"INSERT INTO o SELECT b FROM s; INSERT INTO r SELECT a FROM s\"\n";
    check(
        &text,
        &[
            "8:10: sinks.o.format: format \"csv\" cannot carry column \"b\" of type ARRAY<INT>",
            "12:10: sinks.r.format: format \"raw\" needs exactly one column, of type STRING or \
             BYTES; there are 1: a BIGINT",
        ],
    );
    let csv = source("").replace("\"json\"", "\"csv\"");
    check(
        &format!(
            "{csv}[sinks.o]\nconnector = \"print\"\n[query]\nsql = \"INSERT INTO o SELECT a FROM s\"\n"
        ),
        &["4:10: sources.s.format: format \"csv\" cannot carry column \"b\" of type ARRAY<INT>"],
    );
}

#[test]
fn metadata_that_a_connector_does_not_have() {
    let table = |connector: &str| {
        format!(
            "[query]\nsql = \"\"\"\nCREATE TABLE s (a INT, n STRING METADATA FROM 'file.name') WITH\n\
             ({connector});\nCREATE TABLE o (a INT) WITH ('connector' = 'print');\n\
             INSERT INTO o SELECT a FROM s\n\"\"\"\n"
        )
    };
    check(
        &table("'connector' = 'datagen'"),
        &["4:16: s.connector: only files have METADATA columns"],
    );
    check(
        &table(
            "'connector' = 'filesystem', 'path' = 'in.json', 'format' = 'json', 'follow' = 'true'",
        ),
        &["4:16: s.connector: a followed file has no METADATA columns; leave `follow` out"],
    );
    let sink = "[query]\nsql = \"\"\"\nCREATE TABLE s (a INT) WITH ('connector' = 'datagen');\n\
                CREATE TABLE o (a INT, n STRING METADATA FROM 'file.name') WITH ('connector' = 'print');\n\
                INSERT INTO o SELECT a FROM s\n\"\"\"\n";
    check(sink, &["5:13: no sink writes metadata such as `n`; declare it VIRTUAL"]);
    check(
        &sink
            .replace("'file.name')", "'file.name' VIRTUAL, b AS a)")
            .replace("SELECT a", "SELECT a, a"),
        &["5:13: the query has 2 columns, and `o` is written with 1 (a)"],
    );
}

#[test]
fn sinks_of_late_and_rejected_rows() {
    let query = "[query]\nsql = \"INSERT INTO o SELECT a FROM s\"\n";
    let print = "[sinks.o]\nconnector = \"print\"\n";
    check(
        &format!("{}{print}{query}", source("late_sink = \"o\"\nrejected_sink = \"o\"\n")),
        &[
            "6:13: sources.s.late_sink: \"o\" is the target of an INSERT, too; name a sink of its own",
            "7:17: sources.s.rejected_sink: \"o\" is the target of an INSERT, too; name a sink of its own",
        ],
    );
    let late = "[sinks.late]\nconnector = \"print\"\nschema = \"a INT\"\n";
    check(
        &format!("{}{print}{late}{query}", source("late_sink = \"late\"\n")),
        &["11:10: sinks.late.schema: late and rejected rows have columns of their own; remove it"],
    );
}

#[test]
fn directories_and_addresses_belong_to_one_table() {
    let file = |name: &str, path: &str| {
        format!("[sinks.{name}]\nconnector = \"file\"\nformat = \"json\"\npath = \"{path}\"\n")
    };
    let query = "[query]\nsql = \"INSERT INTO a SELECT a FROM s; INSERT INTO b SELECT a FROM s\"\n";
    check(
        &format!("{}{}{}{query}", source(""), file("a", "out"), file("b", "./x/../out")),
        &[
            "13:8: sinks.b.path: ./x/../out is the directory of the sink at job.toml:6:1, too; give \
           each its own",
        ],
    );
    check(
        &format!("{}{}{}{query}", source(""), file("a", "out.json"), file("b", "out")),
        &["9:8: sinks.a.path: out.json looks like a file; a file sink writes parts named \
           part-….json into a directory: use out"],
    );
    let listen = |name: &str, address: &str| {
        format!("[sinks.{name}]\nconnector = \"tcp\"\nformat = \"json\"\nlisten = \"{address}\"\n")
    };
    check(
        &format!(
            "{}{}{}{query}",
            source(""),
            listen("a", "127.0.0.1:9000"),
            listen("b", "0.0.0.0:9000")
        ),
        &["13:10: sinks.b.listen: the table at job.toml:6:1 listens on 127.0.0.1:9000, too; give \
           each its own port"],
    );
}

#[test]
fn options_of_all_tables_at_once() {
    let sql = "[query]\nsql = '''\nCREATE TABLE s (a INT) WITH ('connector' = 'filesystem', 'path' = 'x');\n\
               CREATE TABLE o (a INT) WITH ('connector' = 'prin');\n\
               INSERT INTO o SELECT a FROM s\n'''\n";
    check(
        sql,
        &[
            "3:44: s.format: missing; add format = \"json\", \"csv\", \"raw\", \"rkyv\" or \"arrow\"",
            "4:44: table o, option 'connector': 'prin' is unknown; did you mean \"print\"?",
        ],
    );
}

#[test]
fn a_key_without_effect() {
    let text = source("timestamps = \"sql\"\n")
        + "[sinks.o]\nconnector = \"print\"\n[query]\nsql = \"INSERT INTO o SELECT a FROM s\"\n";
    let outcome = Directory::with_job(&text).pelton(&["check", "job.toml"]);
    assert!(outcome.stderr.contains("job.toml:6:1: sources.s.timestamps: unknown key"));
    outcome.expect_code(2);
}

#[test]
fn explain_says_what_a_crash_costs() {
    let text = source("")
        + "[sinks.o]\nconnector = \"print\"\n[durability]\nmode = \"off\"\n\
           [query]\nsql = \"INSERT INTO o SELECT a FROM s\"\n";
    let outcome = Directory::with_job(&text).pelton(&["explain", "job.toml"]);
    for words in ["durability \"off\": nothing is kept", "sink o: release \"immediate\""] {
        assert!(outcome.stdout.contains(words), "{}", outcome.stdout);
    }
}
