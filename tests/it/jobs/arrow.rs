//! Arrow's IPC: streams of Arrow's own libraries, over TCP and in files.

use std::fs::File;
use std::process::Command;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{FileWriter, StreamWriter};

use super::{job, json_sink};
use crate::support::{Directory, connect, expect_same, sorted};

const NUMBERS: &str = "\
[sources.numbers]
connector = \"tcp\"
listen = \"127.0.0.1:0\"
format = \"arrow\"
schema = \"n BIGINT NOT NULL, word STRING, missing INT\"
end_on_disconnect = true
";

fn rows(numbers: std::ops::Range<i64>) -> RecordBatch {
    let words: StringArray =
        numbers.clone().map(|n| (n % 3 > 0).then(|| format!("word {n}"))).collect();
    let unknown: ArrayRef = Arc::new(Float64Array::from(vec![0.5; numbers.clone().count()]));
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers));
    RecordBatch::try_from_iter([
        ("unknown", unknown),
        ("word", Arc::new(words) as ArrayRef),
        ("n", numbers),
    ])
    .expect("the columns fit")
}

fn json(n: i64) -> String {
    match n % 3 > 0 {
        true => format!("{{\"n\":{n},\"word\":\"word {n}\",\"missing\":null}}"),
        false => format!("{{\"n\":{n},\"word\":null,\"missing\":null}}"),
    }
}

/// Over TCP in, into files out, and from those files in again.
#[test]
fn streams_are_read_and_written() {
    let arrow = "[sinks.kept]\nconnector = \"file\"\npath = \"kept\"\nformat = \"arrow\"\n";
    let sql = "INSERT INTO kept SELECT n, word, missing FROM numbers; \
               INSERT INTO out SELECT n, word, missing FROM numbers";
    let tables = format!("{NUMBERS}{arrow}{}", json_sink("out"));
    let directory = Directory::with_job(&job(&tables, sql));
    let arguments = ["run", "job.toml", "--cores", "2", "--report", "report.json"];
    let mut running = directory.start(&arguments);
    let address = running.address("source numbers");
    // Both at once: the source ends when there is none left.
    let mut writers = [0, 1].map(|_| {
        StreamWriter::try_new(connect(address), &rows(0..0).schema()).expect("the job listens")
    });
    for part in 0..40 {
        for (index, writer) in (0..).zip(&mut writers) {
            let first = index * 10_000 + part * 50;
            writer.write(&rows(first..first + 50)).expect("the job reads");
        }
    }
    for writer in &mut writers {
        writer.finish().expect("the job reads");
    }
    drop(writers);
    running.wait().expect_code(0);
    let expected: Vec<String> = (0..2_000).chain(10_000..12_000).map(json).collect();
    let expected = sorted(expected);
    expect_same(&directory.rows("out"), &expected, "over TCP");
    assert_eq!(directory.report().count("sources/numbers/records_in"), 4_000);
    let mut kept = 0;
    for part in directory.parts("kept") {
        assert!(part.extension().is_some_and(|name| name == "arrows"), "{part:?}");
        let file = File::open(&part).expect("it was listed");
        for batch in StreamReader::try_new(file, None).expect("it is a stream") {
            let batch = batch.expect("it is complete");
            assert_eq!(batch.schema().field(0).name(), "n");
            kept += batch.column(0).as_primitive::<Int64Type>().len();
        }
    }
    assert_eq!(kept, 4_000);
    let reading = format!(
        "[sources.kept]\nconnector = \"file\"\npath = \"kept/*.arrows\"\nformat = \"arrow\"\n\
         schema = \"n BIGINT NOT NULL, word STRING, missing INT\"\n{}",
        json_sink("again")
    );
    directory
        .write("job.toml", &job(&reading, "INSERT INTO again SELECT n, word, missing FROM kept"));
    directory.pelton(&["run", "job.toml", "--fresh", "--cores", "3"]).expect_code(0);
    expect_same(&directory.rows("again"), &expected, "from files");
}

#[test]
fn what_is_damaged_is_refused_and_others_are_served() {
    let tables = format!("{NUMBERS}{}", json_sink("out"));
    let directory = Directory::with_job(&job(&tables, "INSERT INTO out SELECT n FROM numbers"));
    let mut running = directory.start(&["run", "job.toml", "--cores", "2"]);
    let address = running.address("source numbers");
    let mut good =
        StreamWriter::try_new(connect(address), &rows(0..0).schema()).expect("it listens");
    good.write(&rows(0..10)).expect("the job reads");
    let mut bad = connect(address);
    std::io::Write::write_all(&mut bad, b"n,word\n1,one\n2,two\n").expect("the job reads");
    running.expect_message("no message of Arrow: it begins with \"n,wo\"");
    crate::support::closed_by_peer(&mut bad);
    good.write(&rows(10..20)).expect("the job reads");
    good.finish().expect("the job reads");
    drop((good, bad));
    running.wait().expect_code(0);
    assert_eq!(directory.lines("out").len(), 20);
    // A file is complete, or the job says where it is not.
    let mut writer = FileWriter::try_new(Vec::new(), &rows(0..0).schema()).expect("to memory");
    writer.write(&rows(0..100)).expect("to memory");
    let bytes = writer.into_inner().expect("to memory");
    std::fs::write(directory.path("whole.arrow"), &bytes).expect("it is writable");
    std::fs::write(directory.path("cut.arrow"), &bytes[..bytes.len() / 2]).expect("it is writable");
    for (name, code) in [("whole", 0), ("cut", 4)] {
        let source = format!(
            "[sources.f]\nconnector = \"file\"\npath = \"{name}.arrow\"\nformat = \"arrow\"\n\
             schema = \"n BIGINT\"\n{}",
            json_sink(name)
        );
        directory.write("job.toml", &job(&source, &format!("INSERT INTO {name} SELECT n FROM f")));
        let outcome = directory.pelton(&["run", "job.toml", "--fresh"]);
        outcome.expect_code(code);
        let told = outcome.stderr.contains("the stream is cut inside a message");
        assert_eq!(told, code == 4, "{}", outcome.stderr);
    }
    assert_eq!(directory.lines("whole").len(), 100);
}

const PYTHON: &str = r#"
import socket, sys
import pyarrow as pa
host, port = sys.argv[1].rsplit(":", 1)
table = pa.table({
    "n": pa.array(range(1000), pa.int64()),
    "word": [None if n % 3 == 0 else f"word {n}" for n in range(1000)],
    "tags": [[n, n + 1] for n in range(1000)],
    "at": pa.array([n * 1000 for n in range(1000)], pa.timestamp("ms")),
})
with socket.create_connection((host, int(port))) as s, s.makefile("wb") as f:
    with pa.ipc.new_stream(f, table.schema) as writer:
        writer.write_table(table, max_chunksize=100)
"#;

const PYTHON_READS: &str = r#"
import glob, sys
import pyarrow as pa
rows = 0
for name in glob.glob(sys.argv[1] + "/*.arrows"):
    with pa.ipc.open_stream(name) as reader:
        rows += sum(batch.num_rows for batch in reader)
print(rows)
"#;

/// Arrow for Python, where there is one.
#[test]
fn pyarrow_is_understood() {
    let python = |arguments: &[&str]| Command::new("python3").args(arguments).output();
    if !python(&["-c", "import pyarrow"]).is_ok_and(|output| output.status.success()) {
        return;
    }
    let source = NUMBERS.replace("missing INT", "tags ARRAY<BIGINT>, `at` TIMESTAMP(3)");
    let sink = "[sinks.out]\nconnector = \"file\"\npath = \"out\"\nformat = \"arrow\"\n";
    let sql = "INSERT INTO out SELECT n, word, tags, `at` FROM numbers WHERE n >= 10";
    let directory = Directory::with_job(&job(&format!("{source}{sink}"), sql));
    let mut running = directory.start(&["run", "job.toml", "--cores", "2"]);
    let address = running.address("source numbers").to_string();
    let wrote = python(&["-c", PYTHON, &address]).expect("it was there just now");
    assert!(wrote.status.success(), "{}", String::from_utf8_lossy(&wrote.stderr));
    running.wait().expect_code(0);
    let out = directory.path("out").display().to_string();
    let read = python(&["-c", PYTHON_READS, &out]).expect("it was there just now");
    assert_eq!(String::from_utf8_lossy(&read.stdout).trim(), "990");
}
