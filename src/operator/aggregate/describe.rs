//! What a plan keeps, described for who writes it and reads it back.

use arrow::datatypes::{DataType, Schema};

use super::plan::{AggregatePlan, Lane, LaneOperation};
use crate::record::key_type_name;
use crate::state::{StateSchema, TableSchema, ValueKind, ValueSchema};

impl AggregatePlan {
    /// The tables of one pane, without keys and purpose, which the operator knows.
    pub(super) fn describe(&self, input: &Schema) -> StateSchema {
        let values = self.lanes.iter().enumerate().map(|(number, lane)| ValueSchema {
            name: self.lane_name(lane, input),
            kind: self.lane_kind(number, lane.operation),
        });
        let groups = TableSchema {
            name: "groups".into(),
            keys: vec![],
            values: values.collect(),
            is_set: false,
        };
        let sets = (0..self.distinct.len()).map(|set| TableSchema {
            name: self.set_name(set, input),
            keys: vec![key_type_name(&self.distinct[set].data_type)],
            values: vec![],
            is_set: true,
        });
        let tables: Vec<TableSchema> = std::iter::once(groups).chain(sets).collect();
        assert_eq!(tables[0].words(), self.words);
        StateSchema { purpose: String::new(), tables }
    }

    fn lane_kind(&self, number: usize, operation: LaneOperation) -> ValueKind {
        use LaneOperation as Op;
        match operation {
            Op::AddInt | Op::MinInt | Op::MaxInt => ValueKind::Int,
            Op::AddFloat => ValueKind::Float,
            Op::AddDecimal(_) | Op::MinDecimal(_) | Op::MaxDecimal(_) => ValueKind::Decimal,
            Op::First | Op::Last | Op::List(_) | Op::Moments => ValueKind::Bytes,
            Op::MinBytes | Op::MaxBytes => {
                let of_lane = self.results.iter().find(|result| result.value == number);
                match of_lane.map(|result| &result.result_type) {
                    Some(DataType::Utf8) => ValueKind::Text,
                    _ => ValueKind::Bytes,
                }
            }
        }
    }

    /// `MaxInt(price) of DISTINCT user WHERE flag`.
    fn lane_name(&self, lane: &Lane, input: &Schema) -> String {
        let column = |column: usize| input.field(column).name().as_str();
        let operation = if lane.counts || lane.argument.is_none() {
            "Count".to_owned()
        } else {
            format!("{:?}", lane.operation)
        };
        let mut name = format!("{operation}({})", lane.argument.map_or("*", column));
        match lane.distinct {
            Some(set) => name += &format!(" of {}", self.set_name(set, input)),
            None => name += &filter_text(lane.filter.map(column)),
        }
        name
    }

    fn set_name(&self, set: usize, input: &Schema) -> String {
        let column = |column: usize| input.field(column).name().as_str();
        let set = &self.distinct[set];
        format!("DISTINCT {}{}", column(set.argument), filter_text(set.filter.map(column)))
    }
}

fn filter_text(filter: Option<&str>) -> String {
    filter.map_or_else(String::new, |filter| format!(" WHERE {filter}"))
}
