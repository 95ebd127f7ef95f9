//! VAR_POP, VAR_SAMP, STDDEV_POP and STDDEV_SAMP, as Flink computes them: from the sum of the squares,
//! the sum and the count, each in the type of AVG, with the arithmetic of expressions.
//!
//! So the variance of an INT is an INT, cut at every step, and integer squares wrap.

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

/// The argument as it is summed, and its square.
///
/// # Errors
/// In words for the user.
pub(super) fn summed(
    argument: Typed,
    result_type: &DataType,
    options: &BindOptions,
) -> Result<(Typed, Typed), String> {
    let argument = cast(argument, &SqlType::plain(result_type.clone()), false, options)?;
    let square = arithmetic(Operator::Multiply, argument.clone(), argument.clone(), options)?;
    Ok((argument, square))
}

/// The three sums of a group.
#[derive(Clone, Debug)]
pub(super) struct Sums {
    pub(super) squares: Typed,
    pub(super) values: Typed,
    pub(super) count: Typed,
}

impl Variance {
    /// The result: NULL of no rows, and of a sample of one.
    ///
    /// # Errors
    /// In words for the user.
    pub(super) fn of(
        self,
        sums: Sums,
        result_type: &DataType,
        options: &BindOptions,
    ) -> Result<Typed, String> {
        let Sums { squares, values, count } = sums;
        let squared_sum = arithmetic(Operator::Multiply, values.clone(), values, options)?;
        let mean = arithmetic(Operator::Divide, squared_sum, nonzero(&count, options)?, options)?;
        let spread = arithmetic(Operator::Minus, squares, mean, options)?;
        let divisor = if self.sample {
            let one = Typed::constant(ScalarValue::Int64(Some(1)));
            arithmetic(Operator::Minus, count, one, options)?
        } else {
            count
        };
        let mut result =
            arithmetic(Operator::Divide, spread, nonzero(&divisor, options)?, options)?;
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
    use arrow::array::{
        ArrayRef, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    };
    use arrow::util::display::array_value_to_string;
    use std::sync::Arc;

    const OPTIONS: BindOptions = BindOptions { time_zone: chrono_tz::UTC };

    const ALL: [Variance; 4] = [
        Variance { sample: false, root: false },
        Variance { sample: true, root: false },
        Variance { sample: false, root: true },
        Variance { sample: true, root: true },
    ];

    /// VAR_POP, VAR_SAMP, STDDEV_POP and STDDEV_SAMP of one group with these sums.
    #[track_caller]
    fn check(squares: ArrayRef, values: ArrayRef, count: i64, result: &DataType, expected: &str) {
        let count: ArrayRef = Arc::new(Int64Array::from(vec![count]));
        let columns = [("a", squares), ("b", values), ("c", count)];
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        let column =
            |index: usize| Typed::column("", index, rows.column(index).data_type().clone());
        let shown: Vec<String> = ALL
            .iter()
            .map(|variance| {
                let sums = Sums { squares: column(0), values: column(1), count: column(2) };
                let typed = variance.of(sums, result, &OPTIONS).unwrap();
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

    fn ints(value: Option<i32>) -> ArrayRef {
        Arc::new(Int32Array::from(vec![value]))
    }

    #[test]
    fn of_integers_everything_is_cut() {
        // 1, 2, 4 and −9, and 6 alone: as Flink 2.3 answers in `tests/fixtures`.
        check(ints(Some(102)), ints(Some(-2)), 4, &DataType::Int32, "25 33 5 5");
        check(ints(Some(36)), ints(Some(6)), 1, &DataType::Int32, "0 NULL 0 NULL");
        check(ints(None), ints(None), 0, &DataType::Int32, "NULL NULL NULL NULL");
    }

    #[test]
    fn of_doubles_and_decimals_nothing_is() {
        let double = |value: f64| -> ArrayRef { Arc::new(Float64Array::from(vec![value])) };
        // 2, 4, 4, 4, 5, 5, 7 and 9.
        let result = "4.0 4.571428571428571 2.0 2.138089935299395";
        check(double(232.0), double(40.0), 8, &DataType::Float64, result);
        let decimal = |value: i128, scale: i8| -> ArrayRef {
            let array = Decimal128Array::from(vec![value]);
            Arc::new(array.with_precision_and_scale(38, scale).unwrap())
        };
        let wide = DataType::Decimal128(38, 6);
        let rounded = "4.000000 4.571429 2.000000 2.138090";
        check(decimal(232_000_000, 6), decimal(40_000_000, 6), 8, &wide, rounded);
    }

    #[test]
    fn a_square_has_the_type_of_a_product() {
        let column = |data_type: DataType| Typed::column("x", 0, data_type);
        let (value, square) = summed(column(DataType::Int32), &DataType::Int32, &OPTIONS).unwrap();
        assert_eq!((value.data_type, square.data_type), (DataType::Int32, DataType::Int32));
        let (of, to) = (DataType::Decimal128(5, 2), DataType::Decimal128(38, 6));
        let (wide, product) = summed(column(of), &to, &OPTIONS).unwrap();
        assert_eq!(wide.data_type, to);
        assert!(matches!(product.data_type, DataType::Decimal128(38, _)), "{product:?}");
    }
}
