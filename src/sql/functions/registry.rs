//! How DataFusion's planner sees our functions: names and types, nothing it could run.

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::{DataFusionError, Result as PlanResult};
use datafusion_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;

use super::super::eval::Typed;
use super::{BindOptions, aggregate_of, bind, find, named_type};

/// The planner's view of a function of one row.
pub(in crate::sql) fn scalar_udf(name: &str) -> Option<Arc<ScalarUDF>> {
    let name = find(name)?.name;
    Some(Arc::new(ScalarUDF::from(Named { name, signature: any() })))
}

/// The planner's view of an aggregate.
pub(in crate::sql) fn aggregate_udf(name: &str) -> Option<Arc<AggregateUDF>> {
    let (name, _) =
        super::aggregate::NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    Some(Arc::new(AggregateUDF::from(Named { name, signature: any() })))
}

/// Types are checked when the call is bound, with messages that name places.
fn any() -> Signature {
    Signature::user_defined(Volatility::Immutable)
}

#[derive(PartialEq, Eq, Hash, Debug)]
struct Named {
    name: &'static str,
    signature: Signature,
}

fn not_run<T>() -> PlanResult<T> {
    Err(DataFusionError::Internal("functions run as bound expressions only".into()))
}

/// The type of a call. What cannot be typed here is refused with a better message when it is bound.
fn bound_type(name: &str, arguments: Vec<Typed>) -> DataType {
    let options = BindOptions { time_zone: chrono_tz::UTC };
    bind(name, arguments, &options).map_or(DataType::Null, |typed| typed.data_type)
}

impl ScalarUDFImpl for Named {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> PlanResult<DataType> {
        let arguments = arguments
            .iter()
            .enumerate()
            .map(|(index, data_type)| Typed::column("", index, data_type.clone()))
            .collect();
        Ok(bound_type(self.name, arguments))
    }

    fn return_field_from_args(&self, arguments: ReturnFieldArgs) -> PlanResult<FieldRef> {
        let typed = arguments.arg_fields.iter().zip(arguments.scalar_arguments).enumerate().map(
            |(index, (field, constant))| match constant {
                Some(value) => Typed::constant((*value).clone()),
                None => Typed::column("", index, field.data_type().clone()),
            },
        );
        let data_type = bound_type(self.name, typed.collect());
        Ok(Arc::new(Field::new(self.name, data_type, true)))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> PlanResult<ColumnarValue> {
        not_run()
    }

    fn coerce_types(&self, arguments: &[DataType]) -> PlanResult<Vec<DataType>> {
        Ok(arguments.to_vec())
    }
}

impl AggregateUDFImpl for Named {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> PlanResult<DataType> {
        let named = aggregate_of(self.name).expect("registered under this name");
        Ok(named_type(named, arguments.first()).unwrap_or(DataType::Null))
    }

    fn accumulator(&self, _: AccumulatorArgs) -> PlanResult<Box<dyn Accumulator>> {
        not_run()
    }

    fn state_fields(&self, _: StateFieldsArgs) -> PlanResult<Vec<arrow::datatypes::FieldRef>> {
        not_run()
    }

    fn coerce_types(&self, arguments: &[DataType]) -> PlanResult<Vec<DataType>> {
        Ok(arguments.to_vec())
    }
}
