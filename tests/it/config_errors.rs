//! Every documented error of a job file, with its text: one line each, all of them at once.

use crate::support::Directory;

/// A job in which nothing is wrong but what a case changes.
const SOURCE: &str = "[sources.bid]\nconnector = \"tcp\"\nlisten = \"127.0.0.1:9000\"\n\
                      format = \"json\"\nschema = \"a BIGINT\"\n";
const SINK: &str = "[sinks.out]\nconnector = \"print\"\n";
const QUERY: &str = "[query]\nsql = \"INSERT INTO out SELECT a FROM bid\"\n";

/// `pelton check` on `job.toml` with `text` reports exactly `expected`, a line each, and exits 2.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let outcome = Directory::with_job(text).pelton(&["check", "job.toml"]);
    let expected: String =
        expected.iter().map(|line| format!("error: job.toml:{line}\n")).collect();
    assert_eq!(outcome.stderr, expected, "{text}");
    outcome.expect_code(2);
}

/// One more line at the end of the source, which is line 6.
#[track_caller]
fn check_source(line: &str, expected: &str) {
    check(&format!("{SOURCE}{line}\n{SINK}{QUERY}"), &[expected]);
}

/// The keys of a file source, which begin in line 2.
#[track_caller]
fn check_file_source(keys: &str, expected: &[&str]) {
    let source = format!("[sources.bid]\nconnector = \"file\"\nschema = \"a BIGINT\"\n{keys}\n");
    check(&format!("{source}{SINK}{QUERY}"), expected);
}

/// The keys of a sink, which begin in line 2.
#[track_caller]
fn check_sink(keys: &str, expected: &[&str]) {
    check(&format!("[sinks.out]\n{keys}\n{SOURCE}{QUERY}"), expected);
}

/// What stands before the tables, from line 1 on.
#[track_caller]
fn check_top(lines: &str, expected: &[&str]) {
    check(&format!("{lines}\n{SOURCE}{SINK}{QUERY}"), expected);
}

#[test]
fn toml_that_is_none() {
    check("name = \"a", &["1:10: not valid TOML: invalid basic string, expected `\"`"]);
    check_top(
        "name = ",
        &["1:8: not valid TOML: string values must be quoted, expected literal string"],
    );
    check_top("name = \"a\"\nname = \"b\"", &["2:1: not valid TOML: duplicate key"]);
}

#[test]
fn unknown_keys() {
    check_top("nmae = \"x\"", &["1:1: nmae: unknown key; did you mean \"name\"?"]);
    check_top("[source.x]\n", &["1:2: source: unknown key; did you mean \"sources\"?"]);
    check_top(
        "[zzz]",
        &[
            "1:2: zzz: unknown key; known: \"name\", \"time_zone\", \"reactor\", \"durability\", \"http\", \
           \"sources\", \"sinks\", \"query\" or \"limits\"",
        ],
    );
    check_source("fromat = 1", "6:1: sources.bid.fromat: unknown key; did you mean \"format\"?");
    check_source(
        "line-max = 1",
        "6:1: sources.bid.line-max: unknown key; did you mean \"line_max\"?",
    );
    check_top("[reactor]\ncore = 1", &["2:1: reactor.core: unknown key; did you mean \"cores\"?"]);
    check_top(
        "[reactor]\nzzz = 1",
        &["2:1: reactor.zzz: unknown key; known: \"cores\" or \"spin\""],
    );
    check_top(
        "[sources]\nformat = \"json\"",
        &["2:1: sources.format: stands outside a table; put it below [sources.NAME]"],
    );
    check_top(
        "[limits]\nrows = 1\n",
        &["2:1: limits.rows: unknown key; known: \"turn_rows_max\", \"edge_elements_max\" or \
         \"file_chunk_bytes\""],
    );
}

#[test]
fn wrong_types() {
    check_top("name = 5", &["1:8: name: 5 is an integer; write a string, between quotes"]);
    check_top("reactor = 5", &["1:11: reactor: is a table, not of type integer; write [reactor]"]);
    check_top(
        "sources.x = 5",
        &["1:13: sources.x: is a table, not of type integer; write [sources.x]"],
    );
    check_source(
        "end_on_disconnect = \"yes\"",
        "6:21: sources.bid.end_on_disconnect: \"yes\" is a string; write true or false, without quotes",
    );
    check_source(
        "connections_max = \"9\"",
        "6:19: sources.bid.connections_max: \"9\" is a string; write a whole number from 1 to 65536",
    );
    check_source(
        "connections_max = 0",
        "6:19: sources.bid.connections_max: 0 is out of range; allowed: 1 to 65536",
    );
    check_source(
        "line_max = 64",
        "6:12: sources.bid.line_max: 64 is an integer; write a size with its unit, such as \"64MiB\"",
    );
    check_source(
        "idle_timeout = true",
        "6:16: sources.bid.idle_timeout: true is a boolean; write a duration with its unit, such as \
         \"100ms\", or \"off\"",
    );
    check_source(
        "on_error = [1,\n 2]",
        "6:12: sources.bid.on_error: [1,… is an array; write \"reject\" or \"fail\"",
    );
}

#[test]
fn sizes_and_durations() {
    let units = "write a whole number with B, KB, KiB, MB, MiB, GB or GiB, such as \"64MiB\"";
    let at = "6:12: sources.bid.line_max:";
    check_source("line_max = \"64\"", &format!("{at} \"64\" has no unit; {units}"));
    check_source(
        "line_max = \"big\"",
        &format!("{at} \"big\" does not begin with a whole number; {units}"),
    );
    check_source("line_max = \"64mb\"", &format!("{at} \"64mb\" has an unknown unit; {units}"));
    check_source(
        "line_max = \"1.5MiB\"",
        &format!("{at} \"1.5MiB\" has a fraction; use a smaller unit; {units}"),
    );
    check_source(
        "line_max = \"2GiB\"",
        &format!("{at} \"2GiB\" is out of range; allowed: 1B to 1GiB"),
    );
    let time_units = "write a whole number with ns, us, ms, s, min, h or d, such as \"100ms\"";
    check_source(
        "max_future = \"1y\"",
        &format!(
            "6:14: sources.bid.max_future: \"1y\" has an unknown unit; {time_units}, or \"off\""
        ),
    );
    check_top(
        "[durability]\ncheckpoint_interval = \"1ms\"",
        &["2:23: durability.checkpoint_interval: \"1ms\" is out of range; allowed: 10ms to 1d"],
    );
    check_top(
        "[reactor]\nspin = \"on\"",
        &[&format!(
            "2:8: reactor.spin: \"on\" does not begin with a whole number; {time_units}, or \"always\""
        )],
    );
}

#[test]
fn cores() {
    let at = "2:9: reactor.cores:";
    let range = "is out of range; write \"all\", a count from 1 to 128, or a list of CPUs";
    let any = "write \"all\", a count, or a list of CPUs such as [2, 3]";
    for (given, expected) in [
        ("0", format!("0 {range}")),
        ("500", format!("500 {range}")),
        ("-1", format!("-1 {range}")),
        ("\"four\"", format!("\"four\" is a string; {any}")),
        ("1.5", format!("1.5 is a float; {any}")),
        ("[]", "[] has 0 CPUs; list 1 to 128".to_owned()),
        ("[1, 1]", "[1, 1] names a CPU twice; list each CPU once".to_owned()),
        ("[\"a\"]", "[\"a\"] is no list of CPU numbers; write a list such as [2, 3]".to_owned()),
    ] {
        check_top(&format!("[reactor]\ncores = {given}"), &[&format!("{at} {expected}")]);
    }
}

#[test]
fn names_and_zones() {
    let rule = "is no name; use 1 to 64 letters, digits, `_`, `-` or `.`";
    check_top("name = \"a/b\"", &[&format!("1:8: name: \"a/b\" {rule}")]);
    check_top("[sinks.\"a b\"]\nconnector = \"print\"", &[&format!("1:8: sinks.a b: {rule}")]);
    check_top(
        "time_zone = \"Europe/Berln\"",
        &["1:13: time_zone: \"Europe/Berln\" is no time zone; did you mean \"Europe/Berlin\"?"],
    );
    check_top(
        "time_zone = \"here\"",
        &["1:13: time_zone: \"here\" is no time zone; write a name such as \"Europe/Berlin\""],
    );
    check(
        &format!("{SOURCE}[sinks.bid]\nconnector = \"print\"\n{QUERY}"),
        &["6:1: sinks.bid: a source has this name too; rename one of them"],
    );
}

#[test]
fn connectors_and_formats() {
    check_sink(
        "connector = \"prnt\"",
        &["2:13: sinks.out.connector: \"prnt\" is unknown; did you mean \"print\"?"],
    );
    check_sink(
        "connector = \"s3\"",
        &[
            "2:13: sinks.out.connector: \"s3\" is unknown; known: \"tcp\", \"file\", \"print\" or \"blackhole\"",
        ],
    );
    check_sink(
        "connector = \"kafka\"",
        &["2:13: sinks.out.connector: \"kafka\" is planned and not in this version; use \"tcp\", \
           \"file\", \"print\" or \"blackhole\""],
    );
    check_sink(
        "schema = \"a INT\"",
        &[
            "1:1: sinks.out.connector: missing; add connector = \"tcp\", \"file\", \"print\" or \"blackhole\"",
        ],
    );
    check_file_source(
        "path = \"in\"\nformat = \"rkyv\"\nfollow = true\nline_max = \"1KiB\"",
        &[
            "6:10: sources.bid.follow: does not go with format = \"rkyv\": its files are read to \
             their end and not followed",
            "7:12: sources.bid.line_max: does not go with format = \"rkyv\": its records are no \
             lines",
        ],
    );
    check_file_source(
        "path = \"in\"",
        &[
            "1:1: sources.bid.format: missing; add format = \"json\", \"csv\", \"raw\", \"rkyv\" or \"arrow\"",
        ],
    );
    check_file_source(
        "format = \"json\"",
        &["1:1: sources.bid.path: missing; add path = \"input/*.json\""],
    );
    check_file_source(
        "format = \"json\"\npath = \"a.json.gz\"",
        &[
            "5:8: sources.bid.path: a.json.gz is compressed (.gz), which is not supported; decompress \
           it first",
        ],
    );
    check(
        &format!("{}{SINK}{QUERY}", SOURCE.replace("schema = \"a BIGINT\"\n", "")),
        &["1:1: sources.bid.schema: missing; add schema = \"…\", the column list of CREATE TABLE"],
    );
}

#[test]
fn keys_without_effect() {
    check_source(
        "path = \"x\"",
        "6:8: sources.bid.path: does not apply to connector = \"tcp\"; it is for \"file\"",
    );
    check_source(
        "delimiter = \";\"",
        "6:13: sources.bid.delimiter: does not apply to format = \"json\"; it is for \"csv\"",
    );
    check_sink(
        "connector = \"blackhole\"\nformat = \"json\"",
        &[
            "3:10: sinks.out.format: does not apply to connector = \"blackhole\"; it is for \"tcp\", \
           \"file\" or \"print\"",
        ],
    );
    check_file_source(
        "path = \"in\"\nformat = \"csv\"\ndelimiter = \"ab\"",
        &[
            "6:13: sources.bid.delimiter: \"ab\" is not one ASCII character other than a quote or a \
           line end",
        ],
    );
}

#[test]
fn addresses() {
    let expected = "write \"host:port\", such as \"127.0.0.1:9000\"";
    check_sink(
        "connector = \"tcp\"\nformat = \"json\"\nlisten = \"9000\"",
        &[&format!("4:10: sinks.out.listen: \"9000\" has no port; {expected}")],
    );
    check_sink(
        "connector = \"tcp\"\nformat = \"json\"\nlisten = \":9000\"",
        &[&format!("4:10: sinks.out.listen: \":9000\" has no host; {expected}")],
    );
    check_sink(
        "connector = \"tcp\"\nformat = \"json\"\nconnect = \"h:70000\"",
        &[&format!("4:11: sinks.out.connect: \"h:70000\" has no port from 0 to 65535; {expected}")],
    );
    check_sink(
        "connector = \"tcp\"\nformat = \"json\"\nconnect = \"127.0.0.1:0\"",
        &["4:11: sinks.out.connect: port 0 cannot be connected to; write the peer's port"],
    );
    check_sink(
        "connector = \"tcp\"\nformat = \"json\"",
        &[
            "1:1: sinks.out.listen: missing; add listen = \"127.0.0.1:9000\" or connect = \"host:port\"",
        ],
    );
    check_source(
        "connect = \"127.0.0.1:9001\"",
        "6:11: sources.bid.connect: given beside `listen`; keep one of the two",
    );
}

#[test]
fn references_to_the_outside() {
    check_source(
        "late_sink = \"${env:PELTON_TEST_UNSET}\"",
        "6:13: sources.bid.late_sink: \"${env:PELTON_TEST_UNSET}\" cannot be read: the environment variable \
         PELTON_TEST_UNSET is not set or not UTF-8",
    );
    check_source(
        "late_sink = \"${file:none}\"",
        "6:13: sources.bid.late_sink: \"${file:none}\" cannot be read: ${file:none}: No such file or directory (os \
         error 2)",
    );
    check_source(
        "late_sink = \"${PORT}\"",
        "6:13: sources.bid.late_sink: \"${PORT}\" cannot be read: `${PORT}` is neither `${env:NAME}` nor `${file:/path}`",
    );
    // The value of a reference may be a secret: it is not repeated.
    check_source(
        "line_max = \"${env:PELTON_TEST_PORT}\"",
        "6:12: sources.bid.line_max: \"${env:PELTON_TEST_PORT}\" has no unit; write a whole number \
         with B, KB, KiB, MB, MiB, GB or GiB, such as \"64MiB\"",
    );
    check_source(
        "late_sink = \"ou\"",
        "6:13: sources.bid.late_sink: \"ou\" is not a table under [sinks]; did you mean \"out\"?",
    );
    check_source(
        "rejected_sink = \"bid\"",
        "6:17: sources.bid.rejected_sink: \"bid\" is not a table under [sinks]; known: \"out\"",
    );
}

#[test]
fn contradictions() {
    check(
        &format!("{SOURCE}journal = true\n{SINK}{QUERY}[durability]\nmode = \"off\"\n"),
        &[
            "6:11: sources.bid.journal: true contradicts durability.mode = \"off\"; remove one of them",
        ],
    );
    check(
        &format!("{SOURCE}{SINK}release = \"commit\"\n{QUERY}[durability]\nmode = \"off\"\n"),
        &[
            "8:11: sinks.out.release: \"commit\" needs epochs, and durability.mode is \"off\"; write \
           \"immediate\" or turn durability on",
        ],
    );
    check_top(
        "[limits]\nedge_elements_max = 1",
        &["2:21: limits.edge_elements_max: 1 is out of range; allowed: 2 to 4096"],
    );
}

#[test]
fn queries() {
    check(
        &format!("{SOURCE}{SINK}"),
        &["1:1: query: missing; add sql = \"INSERT INTO … SELECT …\" or file = \"query.sql\""],
    );
    check(
        &format!("{SOURCE}{SINK}{QUERY}file = \"q.sql\"\n"),
        &["10:8: query.file: given beside query.sql; keep one of the two"],
    );
    check(
        &format!("{SOURCE}{SINK}[query]\nfile = \"q.sql\"\n"),
        &["9:8: query.file: q.sql cannot be read: No such file or directory (os error 2)"],
    );
}

#[test]
fn all_errors_are_reported_at_once_in_the_order_of_the_file() {
    check(
        "nmae = \"x\"\n[reactor]\ncores = 0\n[sources.bid]\nconnector = \"tcp\"\nformat = \"jsn\"\n\
         schema = 7\n[sinks.out]\nconnector = \"file\"\nformat = \"csv\"\n",
        &[
            "1:1: nmae: unknown key; did you mean \"name\"?",
            "1:1: query: missing; add sql = \"INSERT INTO … SELECT …\" or file = \"query.sql\"",
            "3:9: reactor.cores: 0 is out of range; write \"all\", a count from 1 to 128, or a list \
             of CPUs",
            "4:1: sources.bid.listen: missing; add listen = \"127.0.0.1:9000\" or connect = \
             \"host:port\"",
            "6:10: sources.bid.format: \"jsn\" is unknown; did you mean \"json\"?",
            "7:10: sources.bid.schema: 7 is an integer; write a string, between quotes",
            "8:1: sinks.out.path: missing; add path = \"out\"",
        ],
    );
}
