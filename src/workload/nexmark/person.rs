//! People: somebody registers.

use arrow::array::ArrayRef;
use arrow::buffer::NullBuffer;

use super::calendar::{Event, FIRST_PERSON_ID};
use super::column::{Numbers, Texts, row_of};
use super::text::{extra, words};
use super::{Nexmark, shape};
use crate::workload::Random;

const FIRST_NAMES: [&str; 11] = [
    "Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter",
];

const LAST_NAMES: [&str; 9] =
    ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"];

const CITIES: [&str; 10] = [
    "Phoenix",
    "Los Angeles",
    "San Francisco",
    "Boise",
    "Portland",
    "Bend",
    "Redmond",
    "Seattle",
    "Kent",
    "Cheyenne",
];

const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];

/// People are one in fifty.
const SHARE: usize = 32;

/// The columns of `person`.
pub(super) struct People {
    ids: Numbers,
    names: Texts,
    emails: Texts,
    cards: Texts,
    cities: Texts,
    states: Texts,
    times: Numbers,
    extras: Texts,
}

impl People {
    pub(super) fn with_rows(rows: usize) -> People {
        let texts = |row_bytes| Texts::with_rows(rows, row_bytes, SHARE);
        let numbers = || Numbers::with_rows(rows);
        People {
            ids: numbers(),
            names: texts(16),
            emails: texts(16),
            cards: texts(20),
            cities: texts(12),
            states: texts(2),
            times: numbers(),
            extras: texts(170),
        }
    }

    pub(super) fn add(&mut self, row: usize, event: &Event, of: &Nexmark, random: &mut Random) {
        self.ids.set(row, event.person + FIRST_PERSON_ID);
        self.times.set(row, event.time_ms);
        let name = self.names.begin(row);
        name.extend_from_slice(one_of(&FIRST_NAMES, random).as_bytes());
        name.push(b' ');
        name.extend_from_slice(one_of(&LAST_NAMES, random).as_bytes());
        let email = self.emails.begin(row);
        words(random, 7, b' ', email);
        email.push(b'@');
        words(random, 5, b' ', email);
        email.extend_from_slice(b".com");
        card(random, self.cards.begin(row));
        self.cities.set(row, one_of(&CITIES, random).as_bytes());
        self.states.set(row, one_of(&STATES, random).as_bytes());
        let texts = [&self.names, &self.emails, &self.cards, &self.cities, &self.states];
        // Eight for the id.
        let used = 8 + texts.iter().map(|texts| texts.len_of_last()).sum::<usize>();
        extra(random, used, of.options.mean_bytes.person, self.extras.begin(row));
    }

    pub(super) fn finish(self, rows: usize, present: NullBuffer) -> ArrayRef {
        let columns = vec![
            self.ids.finish(&present),
            self.names.finish(rows, &present),
            self.emails.finish(rows, &present),
            self.cards.finish(rows, &present),
            self.cities.finish(rows, &present),
            self.states.finish(rows, &present),
            self.times.finish_times(&present),
            self.extras.finish(rows, &present),
        ];
        row_of(shape::person(), columns, present)
    }
}

fn one_of<'a>(choices: &[&'a str], random: &mut Random) -> &'a str {
    let index = random.below(choices.len() as u64);
    choices[usize::try_from(index).expect("it is below the number of choices")]
}

/// Four groups of four digits.
fn card(random: &mut Random, out: &mut Vec<u8>) {
    for group in 0..4 {
        if group > 0 {
            out.push(b' ');
        }
        let mut digits = random.below(10_000);
        let mut text = [b'0'; 4];
        for place in text.iter_mut().rev() {
            *place += u8::try_from(digits % 10).expect("one digit");
            digits /= 10;
        }
        out.extend_from_slice(&text);
    }
}
