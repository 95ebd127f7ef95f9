//! Rules over the sources, as data: who may import whom, which crates belong where, what must not
//! be anywhere.
//!
//! Each rule is a function from a file to lines of a report, tried on planted violations below.

mod scan;

use scan::{SourceFile, sources};

/// Who may import whom, besides `stdx`, `limits`, `metrics` and themselves. Lower does not import
/// higher; siblings do not import each other unless listed.
const IMPORTS: &[(&str, &[&str])] = &[
    ("stdx", &[]),
    ("limits", &[]),
    ("metrics", &[]),
    ("reactor", &[]),
    ("record", &[]),
    ("journal", &["record", "reactor"]),
    ("workload", &["record"]),
    ("format", &["record"]),
    ("state", &["record", "journal"]),
    ("source", &["record", "format", "journal", "workload", "reactor"]),
    ("exchange", &["record", "reactor"]),
    ("operator", &["record", "state"]),
    ("sink", &["record", "format", "journal", "reactor"]),
    ("checkpoint", &["record", "state", "journal", "reactor"]),
    ("dataflow", &["record", "state", "source", "exchange", "operator", "sink"]),
    // `source` for the event time of the tables it plans.
    ("sql", &["record", "source", "operator", "dataflow"]),
    (
        "worker",
        &[
            "reactor",
            "record",
            "journal",
            "format",
            "state",
            "source",
            "exchange",
            "operator",
            "sink",
            "checkpoint",
            "dataflow",
        ],
    ),
    // The `Options` structs of what it configures.
    ("config", &["record", "format", "source", "sink", "sql", "reactor"]),
    (
        "control",
        &[
            "reactor",
            "record",
            "journal",
            "format",
            "state",
            "source",
            "exchange",
            "operator",
            "sink",
            "checkpoint",
            "dataflow",
            "sql",
            "worker",
            "config",
        ],
    ),
    ("loadgen", &["record", "format", "workload", "reactor"]),
    ("client", &["record", "format"]),
    ("inspect", &["record", "journal", "state", "checkpoint", "dataflow", "sql"]),
    ("cli", &["config", "control", "loadgen", "inspect"]),
    ("main", &["cli", "config", "control", "reactor"]),
];

const EVERYWHERE: &[&str] = &["stdx", "limits", "metrics"];

/// Foreign crates (by the beginning of their name) and the only places that may name them.
const CRATES: &[(&str, &[&str])] = &[
    ("glommio", &["reactor"]),
    ("io_uring", &["reactor"]),
    ("rtrb", &["reactor"]),
    ("core_affinity", &["reactor"]),
    // A signal handler has no other way to say something and to end.
    ("libc", &["reactor", "stdx/fatal.rs"]),
    ("rkyv", &["record"]),
    ("xxhash_rust", &["record"]),
    // Frames in a file are read where they lie.
    ("memmap2", &["journal/mapped_file.rs", "source/frame_file/mapped.rs"]),
    ("zmij", &["format"]),
    ("base64", &["format", "sql", "loadgen"]),
    ("md5", &["sql"]),
    ("sha1", &["sql"]),
    ("sha2", &["sql"]),
    ("csv_core", &["format"]),
    ("rdkafka", &["source", "sink"]),
    ("datafusion", &["sql"]),
    ("sqlparser", &["sql"]),
    ("toml", &["config"]),
    ("clap", &["cli"]),
    ("mimalloc", &["main.rs"]),
    ("libmimalloc_sys", &["reactor"]),
    ("signal_hook", &["control", "loadgen"]),
    ("tracing", &["control"]),
    ("httparse", &["control"]),
    ("ratatui", &["control/screen"]),
    ("crossterm", &["control/screen"]),
    ("hdrhistogram", &["metrics", "loadgen"]),
    ("serde_json", &["control", "inspect", "journal", "loadgen"]),
];

/// The islands.
const UNSAFE_FILES: &[&str] = &[
    "record/frame.rs",
    "source/frame_file/mapped.rs",
    "journal/mapped_file.rs",
    "reactor/ring.rs",
    "reactor/ring/buffers.rs",
    "reactor/sys.rs",
    "stdx/fatal.rs",
];

/// Operators and what they move run to completion: nothing waits in them.
const SYNCHRONOUS: &[&str] = &["record", "format", "operator", "state", "exchange"];

/// One word per idea: what is not said, and what is said instead.
const WORDS: &[(&str, &str)] = &[
    ("shuffle", "exchange"),
    ("shard", "core or split"),
    ("vnode", "key group"),
    ("incarnation", "run"),
    ("frontier", "watermark"),
    ("snapshot", "checkpoint or savepoint"),
    ("wal", "journal"),
];

/// Marks of work in progress.
const MARKS: &[&str] = &["TODO", "FIXME", "XXX", "HACK", "dbg!(", "todo!(", "unimplemented!("];

/// Interior mutability, shared between cores by a `static`.
const SHARED_CELLS: &[&str] =
    &["Mutex<", "RwLock<", "Atomic", "Cell<", "OnceLock<", "OnceCell<", "UnsafeCell<"];

const LINES_WARN: usize = 400;
const LINES_MAX: usize = 800;

fn imports(file: &SourceFile) -> Vec<String> {
    let module = file.module();
    if module == "lib" || module == "sim" || file.is_test() {
        return Vec::new();
    }
    let Some((_, allowed)) = IMPORTS.iter().find(|(name, _)| *name == module) else {
        return vec![format!("{}: `{module}` is not in the import table", file.path)];
    };
    let mut report = Vec::new();
    for (line, target) in file.crate_paths() {
        let allowed = target == module
            || EVERYWHERE.contains(&target.as_str())
            || allowed.contains(&target.as_str());
        if !allowed {
            let path = &file.path;
            report.push(format!("{path}:{line}: `{module}` may not import `{target}`"));
        }
    }
    report
}

fn foreign_crates(file: &SourceFile) -> Vec<String> {
    let mut report = Vec::new();
    if file.is_test() {
        return report;
    }
    for (name, places) in CRATES {
        if places.iter().any(|place| file.is_in(place)) {
            continue;
        }
        for line in file.code_lines_with(|code| names_crate(code, name)) {
            report.push(format!("{}:{line}: only {places:?} may name {name}", file.path));
        }
    }
    report
}

/// `name…::` at the beginning of a path.
fn names_crate(code: &str, name: &str) -> bool {
    let mut from = 0;
    while let Some(at) = code[from..].find(name).map(|at| at + from) {
        let before = code[..at].chars().next_back();
        let starts = !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | ':' | '.'));
        let rest = code[at..].trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
        if starts && rest.starts_with("::") {
            return true;
        }
        from = at + name.len();
    }
    false
}

fn absences(file: &SourceFile) -> Vec<String> {
    let path = &file.path;
    let mut report = Vec::new();
    let island = UNSAFE_FILES.iter().any(|allowed| file.is_in(allowed));
    if !island {
        for line in file.code_lines_with(|code| has_word(code, "unsafe")) {
            report.push(format!("{path}:{line}: `unsafe` belongs on its islands {UNSAFE_FILES:?}"));
        }
    }
    if SYNCHRONOUS.iter().any(|folder| file.is_in(folder)) {
        for line in file.code_lines_with(|code| has_word(code, "async") || has_word(code, "await"))
        {
            report.push(format!("{path}:{line}: nothing under {SYNCHRONOUS:?} is async"));
        }
    }
    let is_failpoint = path == "src/stdx/failpoint.rs";
    if file.module() != "metrics" && file.module() != "main" && !is_failpoint {
        let shared = |code: &str| {
            has_word(code, "static")
                && !code.contains("'static")
                && SHARED_CELLS.iter().any(|cell| code.contains(cell))
        };
        for line in file.code_lines_with(|code| shared(code) || code.contains("static mut ")) {
            report.push(format!("{path}:{line}: a `static` that changes, outside metrics"));
        }
    }
    report
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}

fn words(file: &SourceFile) -> Vec<String> {
    let mut report = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let (path, number) = (&file.path, index + 1);
        let parts: Vec<String> = identifier_parts(&without_sql_names(line));
        for (banned, instead) in WORDS {
            if parts.iter().any(|part| part == banned) {
                report.push(format!("{path}:{number}: write {instead} instead of {banned}"));
            }
        }
        for mark in MARKS.iter().filter(|mark| line.contains(**mark)) {
            report.push(format!("{path}:{number}: `{mark}` must not stay"));
        }
    }
    report
}

/// The line without strings in capitals: names of SQL are not ours to choose.
fn without_sql_names(line: &str) -> String {
    let is_name =
        |(index, part): &(usize, &str)| index % 2 == 1 && !part.chars().any(char::is_lowercase);
    let parts = line.split('"').enumerate().filter(|part| !is_name(part));
    parts.map(|(_, part)| part).collect::<Vec<_>>().join("\"")
}

/// Words of a line in lower case; `KeySnapshot` and `key_snapshot` have two each.
fn identifier_parts(line: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut before_lower = false;
    for c in line.chars() {
        let boundary = !c.is_alphanumeric() || (c.is_uppercase() && before_lower);
        if boundary {
            parts.push(String::new());
        }
        if c.is_alphanumeric() {
            let last = parts.last_mut().expect("it is never empty");
            last.extend(c.to_lowercase());
        }
        before_lower = c.is_lowercase();
    }
    parts
}

fn shape(file: &SourceFile) -> Vec<String> {
    let path = &file.path;
    let mut report = Vec::new();
    if !file.text.starts_with("//! ") {
        report.push(format!("{path}:1: begin with a `//!` line that says what the file is for"));
    }
    let lines = file.text.lines().count();
    if lines > LINES_MAX {
        report.push(format!("{path}: {lines} lines; split it below {LINES_MAX}"));
    }
    if path.ends_with("/mod.rs") {
        report.push(format!("{path}: a folder's file stands beside it, not in it"));
    }
    report
}

/// Every file is declared by the one above it.
fn undeclared(files: &[SourceFile], root: &str) -> Vec<String> {
    let mut report = Vec::new();
    for file in files.iter().filter(|file| file.path != root && file.path != "src/main.rs") {
        let without = file.path.strip_suffix(".rs").expect("only Rust files are read");
        let (folder, name) = without.rsplit_once('/').expect("they lie in a folder");
        let root_folder = root.rsplit_once('/').expect("the root lies in a folder").0;
        let parent = if folder == root_folder { root.to_owned() } else { format!("{folder}.rs") };
        let declaration = format!("mod {name};");
        let declared = files.iter().any(|other| {
            other.path == parent
                && other.text.lines().any(|line| {
                    let line = line.split("//").next().unwrap_or("").trim_end();
                    line == declaration || line.ends_with(&format!(" {declaration}"))
                })
        });
        if !declared {
            report.push(format!("{}: {parent} does not declare it", file.path));
        }
    }
    report
}

#[track_caller]
fn expect_clean(report: &[String]) {
    assert!(report.is_empty(), "\n{}\n", report.join("\n"));
}

#[test]
fn modules_import_what_the_table_allows() {
    expect_clean(&sources("src").iter().flat_map(imports).collect::<Vec<_>>());
}

#[test]
fn foreign_crates_stay_in_their_modules() {
    expect_clean(&sources("src").iter().flat_map(foreign_crates).collect::<Vec<_>>());
}

#[test]
fn what_must_be_absent_is() {
    expect_clean(&sources("src").iter().flat_map(absences).collect::<Vec<_>>());
}

#[test]
fn one_word_per_idea_and_no_marks_left() {
    let folders = ["src", "tests", "bench"];
    let files = folders.iter().flat_map(|folder| sources(folder));
    let files = files.filter(|file| !file.path.starts_with("tests/it/tidy"));
    expect_clean(&files.flat_map(|file| words(&file)).collect::<Vec<_>>());
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let folders = ["src", "tests", "bench"];
    let files = folders.iter().flat_map(|folder| sources(folder));
    let files: Vec<SourceFile> = files.collect();
    for (path, lines) in files.iter().map(|file| (&file.path, file.text.lines().count())) {
        if lines > LINES_WARN {
            println!("{path}: {lines} lines; look for a seam");
        }
    }
    expect_clean(&files.iter().flat_map(shape).collect::<Vec<_>>());
}

#[test]
fn every_file_is_declared() {
    expect_clean(&undeclared(&sources("src"), "src/lib.rs"));
    expect_clean(&undeclared(&sources("tests/it"), "tests/it/main.rs"));
}

/// `rule` finds as many violations in `text` as expected, were it the file `path`.
#[track_caller]
fn check(rule: fn(&SourceFile) -> Vec<String>, path: &str, text: &str, expected: usize) {
    let found = rule(&SourceFile::new(path, text));
    assert_eq!(found.len(), expected, "{path}: {text:?}: {found:?}");
}

#[test]
fn planted_imports_are_found() {
    check(imports, "src/record/a.rs", "use crate::sql::Plan;", 1);
    check(imports, "src/record/a.rs", "use crate::{limits, sql::Plan, sink};", 2);
    check(imports, "src/record/a.rs", "use crate::{\n    limits,\n    sql::{A, B},\n};", 1);
    check(imports, "src/record.rs", "fn f() { crate::worker::go() }", 1);
    check(imports, "src/main.rs", "fn main() { pelton::worker::go() }", 1);
    check(imports, "src/unheard.rs", "", 1);
    check(imports, "src/record/a.rs", "use crate::stdx::CoreId; use crate::record::B;", 0);
    check(imports, "src/record/a.rs", "// use crate::sql::Plan;\n/* crate::sql */", 0);
    check(imports, "src/record/a.rs", "pub(in crate::record) fn f() {}", 0);
    check(imports, "src/record/a.rs", "#[cfg(test)]\nmod tests { use crate::sql::Plan; }", 0);
}

#[test]
fn planted_crates_are_found() {
    check(foreign_crates, "src/sink/a.rs", "use glommio::Task;", 1);
    check(foreign_crates, "src/sink/a.rs", "use datafusion_expr::Expr;", 1);
    check(foreign_crates, "src/journal/writer.rs", "let map = memmap2::Mmap::map(f);", 1);
    check(foreign_crates, "src/journal/mapped_file.rs", "let map = memmap2::Mmap::map(f);", 0);
    check(foreign_crates, "src/sink/a.rs", "let glommio = \"glommio::Task\"; // glommio::x", 0);
    check(foreign_crates, "src/reactor/a.rs", "use glommio::Task;", 0);
    check(foreign_crates, "src/sink/tests.rs", "use glommio::Task;", 0);
}

#[test]
fn planted_absences_are_found() {
    check(absences, "src/sink.rs", "unsafe { f() }", 1);
    check(absences, "src/reactor/sys.rs", "unsafe { f() }", 0);
    check(absences, "src/sink.rs", "#![deny(unsafe_code)] // unsafe", 0);
    check(absences, "src/operator/a.rs", "async fn f() { g().await }", 1);
    check(absences, "src/source/a.rs", "async fn f() { g().await }", 0);
    check(absences, "src/source/a.rs", "static SEEN: AtomicU64 = AtomicU64::new(0);", 1);
    check(absences, "src/source/a.rs", "static mut SEEN: u64 = 0;", 1);
    check(absences, "src/source/a.rs", "fn f(x: &'static AtomicU64) {}", 0);
    check(absences, "src/metrics/a.rs", "static SEEN: AtomicU64 = AtomicU64::new(0);", 0);
}

#[test]
fn planted_words_and_marks_are_found() {
    check(words, "src/a.rs", "// a shuffle of keys", 1);
    check(words, "src/a.rs", "struct KeySnapshot; fn take_snapshot() {}", 1);
    check(words, "src/a.rs", "let walk = 1; // walls", 0);
    check(words, "src/a.rs", "f(\"SHUFFLE_HASH\", \"MERGE\")", 0);
    check(words, "src/a.rs", "f(\"SHUFFLE_HASH\", shuffle, \"shuffle\")", 1);
    check(words, "src/a.rs", "// TODO later", 1);
}

#[test]
fn planted_shapes_are_found() {
    check(shape, "src/a.rs", "use std::io;", 1);
    check(shape, "src/a.rs", &format!("//! A.\n{}", "\n".repeat(LINES_MAX)), 1);
    check(shape, "src/a/mod.rs", "//! A.", 1);
    check(shape, "src/a.rs", "//! A.", 0);
    let lost = [
        SourceFile::new("src/lib.rs", "//! L.\nmod a; // first\n"),
        SourceFile::new("src/a.rs", "//! A.\n"),
        SourceFile::new("src/a/b.rs", "//! B.\n"),
    ];
    assert_eq!(undeclared(&lost, "src/lib.rs"), ["src/a/b.rs: src/a.rs does not declare it"]);
}
