//! A subscriber: shows what a sink with `format = "rkyv"` writes, a few rows of every frame.
//!
//!     cargo run --release --example subscriber -- 127.0.0.1:9100

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use pelton::client::Subscriber;

/// Rows shown of a frame.
const ROWS_SHOWN: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9100".into());
    let mut subscriber = Subscriber::connect(&*address, "example")?;
    let names: Vec<&str> =
        subscriber.schema().fields().iter().map(|field| field.name().as_str()).collect();
    println!("{}", names.join(", "));
    let (shown, mut total) = (FormatOptions::default().with_null("NULL"), 0);
    while let Some(rows) = subscriber.next_rows()? {
        let columns: Vec<ArrayFormatter<'_>> = rows
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &shown))
            .collect::<Result<_, _>>()?;
        for row in 0..rows.num_rows().min(ROWS_SHOWN) {
            let values: Vec<String> =
                columns.iter().map(|column| column.value(row).to_string()).collect();
            println!("{}", values.join(", "));
        }
        total += rows.num_rows();
        println!("… {} rows in frame {}, {total} in all", rows.num_rows(), subscriber.sequence());
    }
    println!("the sink has ended after {total} rows");
    Ok(())
}
