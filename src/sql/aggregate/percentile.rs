//! The arguments of PERCENTILE: which percentages, and what is listed for them.

use arrow::datatypes::DataType;
use datafusion_common::DFSchema;
use datafusion_expr::Expr;

use super::super::bind::location_of;
use super::super::cast::cast;
use super::super::error::{Checked, Fault};
use super::super::eval::{Typed, fold};
use super::super::functions;
use super::super::relation::Relation;
use super::super::streaming::StreamBuilder;
use super::super::types::{SqlType, is_integer, list_of, type_name};
use super::super::variance::as_double;

/// Binds the arguments of PERCENTILE.
pub(super) struct Percentile<'a, 'b> {
    pub(super) builder: &'a StreamBuilder<'b>,
    pub(super) input: &'a Relation,
    pub(super) names: &'a DFSchema,
}

impl Percentile<'_, '_> {
    fn bind(&self, argument: &Expr) -> Checked<Typed> {
        self.builder.with_binder(self.input, self.names, |binder| binder.bind(argument))
    }

    /// The second argument, as doubles.
    pub(super) fn percentages(&self, argument: &Expr) -> Checked<Typed> {
        let fault = |message: String| Fault { location: location_of(argument), message };
        let given = self.bind(argument)?;
        let double = match given.data_type {
            DataType::List(_) => list_of(DataType::Float64),
            _ => DataType::Float64,
        };
        let typed = cast(given, &SqlType::plain(double), false, &self.builder.options)
            .map(fold)
            .map_err(fault)?;
        functions::percentages(&typed).map_err(fault)?;
        Ok(typed)
    }

    /// What is listed: the value as a double, or a row of it and how often it counts.
    pub(super) fn weighed(&self, value: Typed, frequency: Option<&Expr>) -> Checked<Typed> {
        let options = &self.builder.options;
        let value = as_double(value, options).map_err(Fault::anywhere)?;
        let Some(frequency) = frequency else { return Ok(value) };
        let fault = |message: String| Fault { location: location_of(frequency), message };
        let given = self.bind(frequency)?;
        if !is_integer(&given.data_type) {
            let message = format!(
                "the third argument of PERCENTILE is an integer, not {}",
                type_name(&given.data_type)
            );
            return Err(fault(message));
        }
        let weight =
            cast(given, &SqlType::plain(DataType::Int64), false, options).map_err(fault)?;
        functions::bind("ROW", vec![value, weight], options).map_err(fault)
    }
}
