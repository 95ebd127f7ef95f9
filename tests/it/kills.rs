//! Jobs that are killed again and again under full load: the output is that of a run that nothing ever
//! happened to, each row once.
//!
//! In:  a job that keeps windows of windows, on another number of cores at each start.
//! Out: the same rows as from a run on one core without durability.
//!
//! `PELTON_KILLS` says how often, and `PELTON_KILL_SEED` when; a failure names its seed. With the feature
//! `failpoints` the program is also ended at every named phase of an epoch and of a start
//! (`scripts/kill.sh` runs both for long).

use std::time::Duration;

use crate::support::{Directory, expect_same};

/// Kills in an ordinary run of the tests.
const KILLS: u64 = 30;

const KILLS_VARIABLE: &str = "PELTON_KILLS";
const SEED_VARIABLE: &str = "PELTON_KILL_SEED";

/// Two aggregates in a row, the second over all groups of the first.
const QUERY: &str = r#"
CREATE VIEW bid AS
SELECT bid.auction AS auction, bid.bidder AS bidder, bid.price AS price, `dateTime` AS ts
FROM events WHERE event_type = 2;

CREATE VIEW per_auction AS
SELECT auction, window_start AS began, window_time AS moment, COUNT(*) AS bids,
  COUNT(DISTINCT bidder) AS bidders, SUM(price) FILTER (WHERE price > 10000) AS dear
FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '2' SECOND))
GROUP BY auction, window_start, window_end, window_time;

INSERT INTO auctions SELECT auction, began, bids, bidders, dear FROM per_auction;

INSERT INTO totals
SELECT window_end, MOD(auction, 16) AS part, COUNT(*) AS auctions, SUM(bids) AS bids,
  MAX(bidders) AS bidders, COUNT(*) FILTER (WHERE dear > 50000) AS dear
FROM TABLE(TUMBLE(TABLE per_auction, DESCRIPTOR(moment), INTERVAL '10' SECOND))
GROUP BY MOD(auction, 16), window_start, window_end
"#;

fn job(events: u64, mode: &str, interval: &str, out: &str) -> String {
    let sink = |name: &str| {
        format!(
            "[sinks.{name}]\nconnector = \"file\"\nformat = \"json\"\npath = \"{out}/{name}\"\n\
             part_age = \"1s\"\n"
        )
    };
    format!(
        "name = \"kills\"\n[durability]\nmode = \"{mode}\"\ndir = \"{out}/state\"\n\
         checkpoint_interval = \"{interval}\"\n[http]\nlisten = \"off\"\n\
         [sources.events]\nconnector = \"nexmark\"\nevents = {events}\n\
         {}{}[query]\nsql = '''{QUERY}'''\n",
        sink("auctions"),
        sink("totals")
    )
}

/// Says which seed failed.
struct Seed(u64);

#[expect(clippy::print_stderr, reason = "a failing seed prints itself")]
impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{SEED_VARIABLE}={} fails", self.0);
        }
    }
}

/// A directory with the job, and what one run of it on one core without durability gives.
fn prepare(events: u64, interval: &str) -> Directory {
    let directory = Directory::with_job(&job(events, "on", interval, "kept"));
    directory.write("plain.toml", &job(events, "off", interval, "plain"));
    directory.pelton(&["run", "plain.toml", "--cores", "1"]).expect_code(0);
    directory
}

fn check(directory: &Directory) {
    for sink in ["auctions", "totals"] {
        let expected = directory.rows(&format!("plain/{sink}"));
        assert!(!expected.is_empty());
        expect_same(&directory.rows(&format!("kept/{sink}")), &expected, sink);
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

#[test]
fn a_job_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    let kills = number(KILLS_VARIABLE).unwrap_or(KILLS);
    let seed = number(SEED_VARIABLE).unwrap_or_else(|| fastrand::u64(..1 << 32));
    let _seed = Seed(seed);
    let mut rng = fastrand::Rng::with_seed(seed);
    let interval = ["10ms", "50ms", "100ms"][rng.usize(..3)];
    let directory = prepare(100_000 * kills, interval);
    for _ in 0..kills {
        let cores = rng.u8(1..=3).to_string();
        let running = directory.start(&["run", "job.toml", "--cores", &cores]);
        // Within the start, too.
        std::thread::sleep(Duration::from_millis(rng.u64(5..400)));
        running.signal("KILL");
        let outcome = running.wait();
        // It may have come to its end before.
        assert!(matches!(outcome.code, None | Some(0)), "{outcome:?}");
    }
    directory.pelton(&["run", "job.toml", "--cores", "2"]).expect_code(0);
    check(&directory);
}

/// Phases of an epoch and of a start, as `src/stdx/failpoint.rs` names them, with the visits at which the
/// program ends: some phases are passed once a start, others many times an epoch.
#[cfg(feature = "failpoints")]
const PHASES: [(&str, u64); 15] = [
    ("begin", 5),
    ("barrier", 5),
    ("capture", 50),
    ("unsynced", 5),
    ("sealed", 5),
    ("collected", 5),
    ("commit-unsynced", 5),
    ("commit-written", 5),
    ("committed", 5),
    ("confirm", 5),
    ("release", 5),
    ("released", 5),
    ("note", 5),
    ("recover", 1),
    ("recovered", 1),
];

/// Ends in each phase.
#[cfg(feature = "failpoints")]
const ENDS: u64 = 10;

#[cfg(feature = "failpoints")]
#[test]
fn a_job_that_ends_in_any_phase_loses_and_doubles_nothing() {
    let seed = number(SEED_VARIABLE).unwrap_or_else(|| fastrand::u64(..1 << 32));
    let _seed = Seed(seed);
    let mut rng = fastrand::Rng::with_seed(seed);
    let directory = prepare(20_000_000, "10ms");
    for (phase, visits) in PHASES {
        for _ in 0..ENDS {
            let cores = rng.u8(1..=3);
            let point = format!("{phase}:{}", rng.u64(1..=visits));
            let script = format!("export PELTON_FAILPOINT={point} && exec \"$0\" \"$@\"");
            let arguments = ["run", "job.toml", "--cores", &cores.to_string()];
            let outcome = directory.start_by(&script, &arguments).wait();
            assert_eq!(outcome.code, None, "{point} was not met: {}", outcome.stderr);
        }
    }
    directory.pelton(&["run", "job.toml", "--cores", "2"]).expect_code(0);
    check(&directory);
}
