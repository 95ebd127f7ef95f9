//! From aggregate calls to lanes: what is kept for each group, and how results are made of it.

use arrow::datatypes::{DataType, Field, Schema};
use std::sync::Arc;

use super::distinct::bits_type;
use super::pieces::{Kept, is_possible};
use crate::operator::{AggregateCall, AggregateFunction};
use crate::record::KeyEncoder;
use crate::state::StateSchema;

/// What all aggregates of one operator keep for each group.
#[derive(Clone, Debug)]
pub(in crate::operator) struct AggregatePlan {
    /// Without duplicates.
    pub(in crate::operator) lanes: Vec<Lane>,
    /// Arguments of DISTINCT aggregates, without duplicates.
    pub(in crate::operator) distinct: Vec<DistinctSet>,
    /// One per call, in order.
    pub(super) results: Vec<ResultColumn>,
    /// Words of one group.
    pub(super) words: usize,
    /// What is kept, for who writes and reads it.
    pub(in crate::operator) schema: Arc<StateSchema>,
}

/// One fold over a group's rows.
#[derive(Clone, PartialEq, Debug)]
pub(in crate::operator) struct Lane {
    pub(in crate::operator) operation: LaneOperation,
    /// Column it looks at; `None`: every row is 1.
    pub(super) argument: Option<usize>,
    /// Each non-NULL argument is 1, instead of its value.
    pub(super) counts: bool,
    /// A NULL is a value too.
    pub(super) with_nulls: bool,
    /// Boolean column; other rows than true ones are left out.
    pub(super) filter: Option<usize>,
    /// Set whose new elements it is fed, instead of every row.
    pub(in crate::operator) distinct: Option<usize>,
    /// Its first word in a group's entry.
    pub(super) word: usize,
}

/// The operation of a lane, with the form of its values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::operator) enum LaneOperation {
    /// Wrapping sum of 64-bit integers.
    AddInt,
    /// Sum of doubles.
    AddFloat,
    /// Sum of decimals of this scale; what leaves 128 bits stays beyond all decimals.
    AddDecimal(i8),
    /// Smallest of 64-bit integers, or of what is ordered like them.
    MinInt,
    /// Largest of 64-bit integers, or of what is ordered like them.
    MaxInt,
    /// Smallest decimal.
    MinDecimal(i8),
    /// Largest decimal.
    MaxDecimal(i8),
    /// Smallest byte string.
    MinBytes,
    /// Largest byte string.
    MaxBytes,
    /// The value with the lowest position, behind that position.
    First,
    /// The value with the highest position, behind that position.
    Last,
    /// Values one behind the other.
    List(Kept),
    /// Count, mean and squared deviations of doubles.
    Moments,
}

/// The distinct arguments of each group.
#[derive(Clone, Debug)]
pub(in crate::operator) struct DistinctSet {
    pub(super) argument: usize,
    pub(super) filter: Option<usize>,
    pub(in crate::operator) data_type: DataType,
    /// Of the argument alone.
    pub(in crate::operator) encoder: KeyEncoder,
}

/// How one call's result is made of lanes.
#[derive(Clone, Debug)]
pub(super) struct ResultColumn {
    pub(super) function: AggregateFunction,
    pub(super) distinct: bool,
    pub(super) result_type: DataType,
    pub(super) value: usize,
    /// Lane that counts what went into `value`; `None` when that is never nothing.
    pub(super) count: Option<usize>,
}

impl LaneOperation {
    /// Words it takes in an entry.
    pub(super) const fn words(self) -> usize {
        match self {
            Self::AddInt | Self::AddFloat | Self::MinInt | Self::MaxInt => 1,
            Self::AddDecimal(_) | Self::MinDecimal(_) | Self::MaxDecimal(_) => 2,
            Self::MinBytes
            | Self::MaxBytes
            | Self::First
            | Self::Last
            | Self::List(_)
            | Self::Moments => 2,
        }
    }

    /// Type of a column of such lanes.
    pub(in crate::operator) fn data_type(self) -> DataType {
        match self {
            Self::AddInt | Self::MinInt | Self::MaxInt => DataType::Int64,
            Self::AddFloat => DataType::Float64,
            Self::AddDecimal(scale) | Self::MinDecimal(scale) | Self::MaxDecimal(scale) => {
                DataType::Decimal128(38, scale)
            }
            Self::MinBytes
            | Self::MaxBytes
            | Self::First
            | Self::Last
            | Self::List(_)
            | Self::Moments => DataType::Binary,
        }
    }
}

impl AggregatePlan {
    /// The plan of `calls` over rows of `input`.
    ///
    /// # Errors
    /// Names the call whose argument or result type it cannot compute.
    pub(in crate::operator) fn new(
        calls: &[AggregateCall],
        input: &Schema,
    ) -> Result<AggregatePlan, String> {
        let schema = Arc::new(StateSchema { purpose: String::new(), tables: vec![] });
        let mut plan =
            AggregatePlan { lanes: vec![], distinct: vec![], results: vec![], words: 0, schema };
        for call in calls {
            let result = plan.add(call, input).map_err(|why| format!("{}: {why}", call.name))?;
            plan.results.push(result);
        }
        plan.schema = Arc::new(plan.describe(input));
        Ok(plan)
    }

    /// True when some aggregate is DISTINCT: then rows cannot be combined before the exchange.
    pub(in crate::operator) fn has_distinct(&self) -> bool {
        !self.distinct.is_empty()
    }

    /// True when rows need positions: as one more column, behind those of the input.
    pub(in crate::operator) fn needs_positions(&self) -> bool {
        self.lanes.iter().any(|lane| match lane.operation {
            LaneOperation::First | LaneOperation::Last => true,
            LaneOperation::List(kept) => kept != Kept::Counted,
            _ => false,
        })
    }

    /// Lanes whose columns travel; those of DISTINCT aggregates are made behind the exchange.
    pub(in crate::operator) fn sent_lanes(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter().filter(|lane| lane.distinct.is_none())
    }

    fn add(&mut self, call: &AggregateCall, input: &Schema) -> Result<ResultColumn, String> {
        use AggregateFunction::{
            ArrayAgg, Avg, Collect, Count, FirstValue, LastValue, ListPresent, Max, Min,
            SquaredDeviations, Sum,
        };
        let Some(argument) = call.argument else {
            if call.function != Count || call.distinct {
                return Err("only COUNT(*) has no argument".into());
            }
            return Ok(self.result(call, self.rows_lane(call.filter), None));
        };
        let field = input.field(argument);
        if let FirstValue | LastValue | Collect | ArrayAgg | ListPresent = call.function {
            let lane = Lane {
                operation: value_operation(call, field.data_type())?,
                argument: Some(argument),
                with_nulls: call.function == ArrayAgg,
                ..self.rows_lane(call.filter)
            };
            return Ok(self.result(call, lane, None));
        }
        if call.function == SquaredDeviations {
            if (field.data_type(), &call.result_type) != (&DataType::Float64, &DataType::Float64) {
                return Err("deviations are of doubles".into());
            }
            // Of distinct values they are computed at the end, in the order of their first rows.
            let operation = match call.distinct {
                true => LaneOperation::List(Kept::First),
                false => LaneOperation::Moments,
            };
            let argument = Some(argument);
            let lane = Lane { operation, argument, ..self.rows_lane(call.filter) };
            return Ok(self.result(call, lane, None));
        }
        // MIN and MAX of distinct values are those of all values.
        let distinct = match (call.distinct, call.function) {
            (true, Count | Sum | Avg) => Some(self.distinct_set(call, argument, field)?),
            _ => None,
        };
        let never_null = !field.is_nullable() && call.filter.is_none();
        let count = if never_null && distinct.is_none() {
            self.rows_lane(None)
        } else {
            Lane { counts: true, argument: Some(argument), distinct, ..self.rows_lane(call.filter) }
        };
        let operation = match call.function {
            Count => return Ok(self.result(call, count, None)),
            Sum | Avg => sum_operation(call, field.data_type())?,
            Min | Max => extreme_operation(call, field.data_type())?,
            other => unreachable!("{other:?} was added above"),
        };
        let count = (!never_null || call.function == Avg).then_some(count);
        let value =
            Lane { operation, argument: Some(argument), distinct, ..self.rows_lane(call.filter) };
        Ok(self.result(call, value, count))
    }

    fn rows_lane(&self, filter: Option<usize>) -> Lane {
        let operation = LaneOperation::AddInt;
        Lane {
            operation,
            argument: None,
            counts: false,
            with_nulls: false,
            filter,
            distinct: None,
            word: 0,
        }
    }

    fn result(&mut self, call: &AggregateCall, value: Lane, count: Option<Lane>) -> ResultColumn {
        let value = self.lane(value);
        let count = count.map(|count| self.lane(count));
        let (function, distinct) = (call.function, call.distinct);
        let result_type = call.result_type.clone();
        ResultColumn { function, distinct, result_type, value, count }
    }

    /// The number of `lane`, which is added unless there is one like it.
    fn lane(&mut self, lane: Lane) -> usize {
        let known = self.lanes.iter().position(|old| Lane { word: 0, ..old.clone() } == lane);
        known.unwrap_or_else(|| {
            let word = self.words;
            self.words += lane.operation.words();
            self.lanes.push(Lane { word, ..lane });
            self.lanes.len() - 1
        })
    }

    fn distinct_set(
        &mut self,
        call: &AggregateCall,
        argument: usize,
        field: &Field,
    ) -> Result<usize, String> {
        let known = self
            .distinct
            .iter()
            .position(|set| set.argument == argument && set.filter == call.filter);
        if let Some(known) = known {
            return Ok(known);
        }
        let data_type = field.data_type().clone();
        let encoder = KeyEncoder::new(&[bits_type(&data_type)])
            .map_err(|error| format!("DISTINCT: {error}"))?;
        self.distinct.push(DistinctSet { argument, filter: call.filter, data_type, encoder });
        Ok(self.distinct.len() - 1)
    }
}

/// How SUM and AVG add; checks that the result type is Flink's.
fn sum_operation(call: &AggregateCall, argument: &DataType) -> Result<LaneOperation, String> {
    let result = &call.result_type;
    match argument {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64
            if result.is_signed_integer() =>
        {
            Ok(LaneOperation::AddInt)
        }
        DataType::Float32 | DataType::Float64
            if matches!(result, DataType::Float32 | DataType::Float64) =>
        {
            Ok(LaneOperation::AddFloat)
        }
        DataType::Decimal128(_, scale) => match result {
            DataType::Decimal128(_, result_scale)
                if result_scale == scale
                    || (call.function == AggregateFunction::Avg && result_scale > scale) =>
            {
                Ok(LaneOperation::AddDecimal(*scale))
            }
            _ => Err(format!("{:?} of {argument} does not give {result}", call.function)),
        },
        _ => Err(format!("{:?} of {argument} does not give {result}", call.function)),
    }
}

/// How aggregates of values as they came keep them; checks that the result type is made of them.
fn value_operation(call: &AggregateCall, argument: &DataType) -> Result<LaneOperation, String> {
    let element = match (call.function, &call.result_type) {
        (AggregateFunction::FirstValue | AggregateFunction::LastValue, result) => Some(result),
        (AggregateFunction::Collect, DataType::Map(entries, _)) => match entries.data_type() {
            DataType::Struct(parts) => parts.first().map(|part| part.data_type()),
            _ => None,
        },
        (_, DataType::List(element)) => Some(element.data_type()),
        _ => None,
    };
    if element != Some(argument) || !is_possible(argument) {
        let (function, result) = (call.function, &call.result_type);
        return Err(format!("{function:?} of {argument} does not give {result}"));
    }
    Ok(match (call.function, call.distinct) {
        (AggregateFunction::FirstValue, _) => LaneOperation::First,
        (AggregateFunction::LastValue, false) => LaneOperation::Last,
        (AggregateFunction::Collect, _) => LaneOperation::List(Kept::Counted),
        // The last of the distinct values is the one whose first appearance is the last.
        (_, true) => LaneOperation::List(Kept::First),
        (_, false) => LaneOperation::List(Kept::All),
    })
}

/// How MIN and MAX compare; their result has the argument's type.
fn extreme_operation(call: &AggregateCall, argument: &DataType) -> Result<LaneOperation, String> {
    if &call.result_type != argument {
        return Err(format!(
            "{:?} of {argument} does not give {}",
            call.function, call.result_type
        ));
    }
    let is_min = call.function == AggregateFunction::Min;
    let pick = |min, max| if is_min { min } else { max };
    match argument {
        DataType::Decimal128(_, scale) => {
            Ok(pick(LaneOperation::MinDecimal(*scale), LaneOperation::MaxDecimal(*scale)))
        }
        DataType::Utf8 | DataType::Binary => {
            Ok(pick(LaneOperation::MinBytes, LaneOperation::MaxBytes))
        }
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Boolean
        | DataType::Date32
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Timestamp(..) => Ok(pick(LaneOperation::MinInt, LaneOperation::MaxInt)),
        _ => Err(format!("{:?} of {argument} is not supported", call.function)),
    }
}
