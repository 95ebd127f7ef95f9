//! Verify: what came back, against what was sent.
//!
//! In:  the script, how many records were sent, every result.
//! Out: lost, duplicated and wrong results, counted, and the first of them named; asked for proof, also
//!      order per key and sums.
//!
//! A record is *lost* when it was wanted and sent and no result of it came. *Duplicated* counts results
//! beyond the first of a record. *Reordered* counts results that came behind a later one of their key.
//! *Wrong* is a result that was never asked for, or says what its record did not.

use super::script::Script;
use super::wire::ResultRow;

/// Faults that are named.
const EXAMPLES_MAX: usize = 8;

/// What is wrong with the results, if anything.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Findings {
    /// Wanted records that were sent.
    pub(super) wanted: u64,
    /// Results of the load, duplicates included.
    pub(super) received: u64,
    pub(super) lost: u64,
    pub(super) duplicated: u64,
    /// Only counted when proof is asked for.
    pub(super) reordered: u64,
    pub(super) wrong: u64,
    /// Of the amounts of all wanted records that were sent, and of all results; only with proof.
    pub(super) sums: Option<(u64, u64)>,
    /// The first faults in words.
    pub(super) examples: Vec<String>,
}

impl Findings {
    /// True when every wanted record came back as it should.
    pub(super) fn are_clean(&self) -> bool {
        let faults = self.lost + self.duplicated + self.reordered + self.wrong;
        faults == 0 && self.sums.is_none_or(|(sent, received)| sent == received)
    }

    fn name(&mut self, fault: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(fault());
        }
    }
}

/// What a result was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Arrival {
    /// The first result of its record, which was due at this time.
    First {
        /// Since the beginning of the load.
        due_ns: u64,
    },
    /// Anything else; it has been counted.
    Other,
}

/// Follows a load.
#[derive(Debug)]
pub(super) struct Verifier {
    script: Script,
    /// A bit per record: its result has come.
    arrived: Vec<u64>,
    /// Wanted records whose result has come.
    arrived_count: u64,
    /// Per key, the highest sequence that has come. Empty unless proof is asked for.
    highest: Vec<u64>,
    sum_sent: u64,
    sum_received: u64,
    findings: Findings,
}

impl Verifier {
    /// Asked for `proof`, it also looks at order, sums and contents.
    pub(super) fn new(script: Script, proof: bool) -> Verifier {
        let keys = usize::try_from(script.keys.count()).expect("keys are bounded by the options");
        let highest = if proof { vec![0; keys] } else { Vec::new() };
        Verifier {
            script,
            arrived: Vec::new(),
            arrived_count: 0,
            highest,
            sum_sent: 0,
            sum_received: 0,
            findings: Findings::default(),
        }
    }

    /// A record has been sent. Records are sent in the order of their numbers.
    pub(super) fn sent(&mut self, amount: u64) {
        if amount > 0 {
            self.findings.wanted += 1;
            self.sum_sent += amount;
        }
    }

    /// Wanted records sent so far whose result has not come.
    pub(super) fn missing(&self) -> u64 {
        self.findings.wanted - self.arrived_count
    }

    /// Results so far, of the load.
    pub(super) fn received(&self) -> u64 {
        self.findings.received
    }

    /// A result has come, `now_ns` after the beginning of the load, when `sent` records had been sent.
    pub(super) fn arrived(&mut self, row: &ResultRow, sent: u64, now_ns: u64) -> Arrival {
        self.findings.received += 1;
        let (id, due_ns) = match identity(row, sent, now_ns) {
            Ok(identity) => identity,
            Err(fault) => return self.is_wrong(fault),
        };
        if !self.script.is_wanted(id) {
            return self.is_wrong(format!("record {id} was to be filtered out"));
        }
        let place = usize::try_from(id / 64).expect("records fit memory");
        if self.arrived.len() <= place {
            self.arrived.resize(place + 1, 0);
        }
        let bit = 1 << (id % 64);
        if self.arrived[place] & bit != 0 {
            self.findings.duplicated += 1;
            self.findings.name(|| format!("record {id} came again"));
            return Arrival::Other;
        }
        self.arrived[place] |= bit;
        self.arrived_count += 1;
        if !self.highest.is_empty() {
            self.prove(id, row);
        }
        Arrival::First { due_ns }
    }

    /// A result has come that cannot be read.
    pub(super) fn unreadable(&mut self, fault: String) {
        self.findings.received += 1;
        self.is_wrong(fault);
    }

    fn is_wrong(&mut self, fault: String) -> Arrival {
        self.findings.wrong += 1;
        self.findings.name(|| fault);
        Arrival::Other
    }

    /// Contents, order and sum of a record's first result.
    fn prove(&mut self, id: u64, row: &ResultRow) {
        let (key, amount) = self.script.content(id);
        let value = |column: Option<i64>| column.and_then(|it| u64::try_from(it).ok());
        for (name, found, expected) in [("k", row.key, key), ("amount", row.amount, amount)] {
            if value(found) != Some(expected) {
                let found = found.map_or("none".to_owned(), |found| found.to_string());
                self.is_wrong(format!("record {id}: {name} is {found}, {expected} was sent"));
                return;
            }
        }
        self.sum_received += amount;
        let Some(sequence) = value(row.sequence).filter(|sequence| *sequence > 0) else {
            self.is_wrong(format!("record {id} has no seq"));
            return;
        };
        let highest = &mut self.highest[usize::try_from(key).expect("the script's keys fit")];
        if sequence > *highest {
            *highest = sequence;
            return;
        }
        let before = *highest;
        self.findings.reordered += 1;
        self.findings.name(|| {
            format!("record {id}, number {sequence} of key {key}, came behind number {before}")
        });
    }

    /// The end: `sent` records have been sent, and no more results will come.
    pub(super) fn finish(mut self, sent: u64) -> Findings {
        self.findings.lost = self.missing();
        if self.findings.lost > 0 {
            for id in (0..sent).filter(|id| self.script.is_wanted(*id)) {
                let word = usize::try_from(id / 64).ok().and_then(|place| self.arrived.get(place));
                if word.is_none_or(|word| word & (1 << (id % 64)) == 0) {
                    let key = self.script.content(id).0;
                    self.findings.name(|| format!("record {id} of key {key} was lost"));
                }
                if self.findings.examples.len() == EXAMPLES_MAX {
                    break;
                }
            }
        }
        if !self.highest.is_empty() {
            self.findings.sums = Some((self.sum_sent, self.sum_received));
        }
        self.findings
    }
}

/// Which record a result is of, and when that was due.
fn identity(row: &ResultRow, sent: u64, now_ns: u64) -> Result<(u64, u64), String> {
    let id = row.id.ok_or("a result has no id")?;
    let known = u64::try_from(id).ok().filter(|id| *id < sent);
    let id = known.ok_or_else(|| format!("record {id} was not sent"))?;
    let due_ns = row.due_ns.ok_or_else(|| format!("record {id} has no due_ns"))?;
    let past = u64::try_from(due_ns).ok().filter(|due_ns| *due_ns <= now_ns);
    let due_ns = past.ok_or_else(|| format!("record {id}: due_ns {due_ns} was not sent"))?;
    Ok((id, due_ns))
}

#[cfg(test)]
mod tests {
    use super::super::script::{Author, Record};
    use super::*;
    use crate::workload::{KeyDistribution, Keys};

    const RECORDS: u64 = 200;

    fn result(record: &Record) -> ResultRow {
        let column = |value: u64| Some(i64::try_from(value).unwrap());
        ResultRow {
            id: column(record.id),
            key: column(record.key),
            sequence: column(record.sequence),
            due_ns: column(record.due_ns),
            amount: column(record.amount),
        }
    }

    /// Sends 200 records over five keys, every tenth unwanted; `change` does to the right results
    /// what a faulty job would.
    fn findings(proof: bool, change: impl FnOnce(&mut Vec<ResultRow>)) -> Findings {
        let keys = Keys::new(5, KeyDistribution::Uniform);
        let script = Script { seed: 1, keys, unwanted_every: 10 };
        let mut author = Author::new(script.clone());
        let mut verifier = Verifier::new(script, proof);
        let mut results = Vec::new();
        for number in 0..RECORDS {
            let record = author.next(number);
            verifier.sent(record.amount);
            if record.amount > 0 {
                results.push(result(&record));
            }
        }
        change(&mut results);
        for row in &results {
            verifier.arrived(row, RECORDS, RECORDS);
        }
        verifier.finish(RECORDS)
    }

    /// Counts of lost, duplicated, reordered and wrong, and a part of the first example.
    #[track_caller]
    fn check(change: impl FnOnce(&mut Vec<ResultRow>), expected: [u64; 4], example: &str) {
        let found = findings(true, change);
        let Findings { lost, duplicated, reordered, wrong, .. } = found;
        assert_eq!([lost, duplicated, reordered, wrong], expected, "{:?}", found.examples);
        assert!(found.examples[0].contains(example), "{:?}", found.examples);
        assert!(!found.are_clean());
        assert_eq!(found.wanted, 180);
    }

    #[test]
    fn right_results_are_clean() {
        for proof in [true, false] {
            let found = findings(proof, |_| {});
            assert!(found.are_clean(), "{found:?}");
            assert_eq!((found.wanted, found.received), (180, 180));
            assert_eq!(found.examples, Vec::<String>::new());
            assert_eq!(found.sums.is_some(), proof);
        }
        // Keys may overtake each other: order is per key.
        let by_key = |rows: &mut Vec<ResultRow>| rows.sort_by_key(|row| row.key);
        assert!(findings(true, by_key).are_clean());
    }

    #[test]
    fn every_fault_is_counted_and_named() {
        // The first result is that of record 1: 0 is unwanted.
        check(|rows| rows.retain(|row| row.id != Some(1)), [1, 0, 0, 0], "record 1 of key");
        check(|rows| rows.truncate(170), [10, 0, 0, 0], "was lost");
        check(|rows| rows.push(rows[3]), [0, 1, 0, 0], "record 4 came again");
        check(|rows| rows.insert(4, rows[3]), [0, 1, 0, 0], "record 4 came again");
        check(
            |rows| {
                let first = rows[0];
                let later = rows.iter().skip(1).position(|row| row.key == first.key).unwrap() + 1;
                rows.swap(0, later);
                // Those between are of other keys.
                assert!(rows[1..later].iter().all(|row| row.key != first.key));
            },
            [0, 0, 1, 0],
            "number 1 of key",
        );
        check(|rows| rows[0].amount = Some(0), [0, 0, 0, 1], "record 1: amount is 0");
        check(|rows| rows[0].amount = None, [0, 0, 0, 1], "record 1: amount is none");
        check(|rows| rows[0].key = Some(99), [0, 0, 0, 1], "record 1: k is 99");
        check(|rows| rows[0].sequence = None, [0, 0, 0, 1], "record 1 has no seq");
        check(|rows| rows[0].id = None, [1, 0, 0, 1], "a result has no id");
        check(|rows| rows[0].id = Some(200), [1, 0, 0, 1], "record 200 was not sent");
        check(|rows| rows[0].id = Some(-1), [1, 0, 0, 1], "record -1 was not sent");
        check(|rows| rows[0].id = Some(10), [1, 0, 0, 1], "record 10 was to be filtered out");
        check(|rows| rows[0].due_ns = Some(201), [1, 0, 0, 1], "record 1: due_ns 201");
        check(|rows| rows[0].due_ns = None, [1, 0, 0, 1], "record 1 has no due_ns");
    }

    #[test]
    fn sums_are_of_what_was_sent_and_what_came() {
        let whole = findings(true, |_| {});
        let (sent, received) = whole.sums.unwrap();
        assert!(sent == received && sent > 0);
        let mut missing = 0;
        let less = findings(true, |rows| missing = rows.pop().unwrap().amount.unwrap());
        assert_eq!(less.sums, Some((sent, sent - u64::try_from(missing).unwrap())));
    }

    #[test]
    fn without_proof_only_the_count_of_each_record_matters() {
        let found = findings(false, |rows| {
            rows.reverse();
            rows[0].amount = Some(0);
        });
        assert!(found.are_clean(), "{found:?}");
        assert_eq!(findings(false, |rows| rows.truncate(100)).lost, 80);
        let again = findings(false, |rows| rows.push(rows[0]));
        assert_eq!((again.duplicated, again.lost), (1, 0));
    }

    #[test]
    fn examples_are_bounded() {
        let found = findings(true, Vec::clear);
        assert_eq!((found.lost, found.examples.len()), (180, EXAMPLES_MAX));
    }

    #[test]
    fn what_cannot_be_read_is_wrong() {
        let keys = Keys::new(1, KeyDistribution::Uniform);
        let mut verifier = Verifier::new(Script { seed: 0, keys, unwanted_every: 0 }, false);
        verifier.unreadable("a result is not json: x".to_owned());
        let found = verifier.finish(0);
        assert_eq!((found.wrong, found.received), (1, 1));
        assert_eq!(found.examples, ["a result is not json: x"]);
    }
}
