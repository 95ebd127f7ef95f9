//! VAR_POP, VAR_SAMP, STDDEV_POP and STDDEV_SAMP, as Flink computes them: in doubles, from the sum of
//! the squared deviations and the count. The result is cast to the type of AVG, so that the variance
//! of an INT is an INT, cut.

use arrow::datatypes::DataType;
use datafusion_common::ScalarValue;
use datafusion_expr::Operator;

use super::cast::cast;
use super::eval::Typed;
use super::functions::{self, BindOptions};
use super::operators::arithmetic;
use super::types::SqlType;

/// Which of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Variance {
    /// Of a sample: divided by one less than the count.
    pub(super) sample: bool,
    /// The square root of it.
    pub(super) root: bool,
}

/// The argument as its deviations are summed.
///
/// # Errors
/// In words for the user.
pub(super) fn as_double(argument: Typed, options: &BindOptions) -> Result<Typed, String> {
    cast(argument, &SqlType::plain(DataType::Float64), false, options)
}

impl Variance {
    /// The result, of the sum of squared deviations and the count: NULL of no rows, and of a sample
    /// of one.
    ///
    /// # Errors
    /// In words for the user.
    pub(super) fn of(
        self,
        deviations: Typed,
        count: Typed,
        result_type: &DataType,
        options: &BindOptions,
    ) -> Result<Typed, String> {
        let divisor = if self.sample {
            let one = Typed::constant(ScalarValue::Int64(Some(1)));
            arithmetic(Operator::Minus, count, one, options)?
        } else {
            count
        };
        let mut result =
            arithmetic(Operator::Divide, deviations, nonzero(&divisor, options)?, options)?;
        if self.root {
            let half = Typed::constant(ScalarValue::Float64(Some(0.5)));
            result = functions::bind("POWER", vec![result, half], options)?;
        }
        cast(result, &SqlType::plain(result_type.clone()), false, options)
    }
}

/// A count to divide by: NULL instead of zero.
fn nonzero(count: &Typed, options: &BindOptions) -> Result<Typed, String> {
    let zero = Typed::constant(ScalarValue::Int64(Some(0)));
    functions::bind("NULLIF", vec![count.clone(), zero], options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch};
    use arrow::util::display::array_value_to_string;
    use std::sync::Arc;

    const OPTIONS: BindOptions = BindOptions { time_zone: chrono_tz::UTC };

    const ALL: [Variance; 4] = [
        Variance { sample: false, root: false },
        Variance { sample: true, root: false },
        Variance { sample: false, root: true },
        Variance { sample: true, root: true },
    ];

    /// VAR_POP, VAR_SAMP, STDDEV_POP and STDDEV_SAMP of one group with these deviations.
    #[track_caller]
    fn check(deviations: Option<f64>, count: i64, result: &DataType, expected: &str) {
        let deviations: ArrayRef = Arc::new(Float64Array::from(vec![deviations]));
        let count: ArrayRef = Arc::new(Int64Array::from(vec![count]));
        let rows = RecordBatch::try_from_iter([("a", deviations), ("b", count)]).unwrap();
        let column =
            |index: usize| Typed::column("", index, rows.column(index).data_type().clone());
        let shown: Vec<String> = ALL
            .iter()
            .map(|variance| {
                let typed = variance.of(column(0), column(1), result, &OPTIONS).unwrap();
                assert_eq!(typed.data_type, *result);
                let value = typed.expr.evaluate(&rows).unwrap().into_array(1).unwrap();
                match value.is_null(0) {
                    true => "NULL".to_owned(),
                    false => array_value_to_string(&value, 0).unwrap(),
                }
            })
            .collect();
        assert_eq!(shown.join(" "), expected);
    }

    #[test]
    fn results_are_cast_to_the_type_of_the_average() {
        // 1, 2, 4 and −9, and 6 alone: as Flink 2.3 answers in `tests/fixtures`.
        check(Some(101.0), 4, &DataType::Int32, "25 33 5 5");
        check(Some(0.0), 1, &DataType::Int32, "0 NULL 0 NULL");
        check(None, 0, &DataType::Int32, "NULL NULL NULL NULL");
        // 2, 4, 4, 4, 5, 5, 7 and 9.
        let doubles = "4.0 4.571428571428571 2.0 2.138089935299395";
        check(Some(32.0), 8, &DataType::Float64, doubles);
        let decimals = "4.000000 4.571429 2.000000 2.138090";
        check(Some(32.0), 8, &DataType::Decimal128(38, 6), decimals);
    }
}
