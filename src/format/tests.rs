//! Tests of the formats through their public interface: tables of cases, every cut of the input,
//! random and mutated bytes, other people's parsers as references, and there and back again.

mod csv_cases;
mod json_cases;
mod random_input;
mod reference;
mod round_trip;
mod support;
