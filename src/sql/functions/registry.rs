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
use super::super::types::without_bounds;
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

impl Named {
    /// What cannot be typed here is refused with a better message when it is bound.
    fn result(&self, arguments: Vec<Typed>) -> DataType {
        let options = BindOptions { time_zone: chrono_tz::UTC };
        bind(self.name, arguments, &options).map_or(DataType::Null, |typed| typed.data_type)
    }
}

fn column((index, data_type): (usize, &DataType)) -> Typed {
    Typed::column("", index, without_bounds(data_type))
}

impl ScalarUDFImpl for Named {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> PlanResult<DataType> {
        let columns = arguments.iter().enumerate().map(column).collect();
        Ok(self.result(columns))
    }

    /// The names of a ROW's fields and the `RETURNING` of JSON_VALUE are constants on which the type
    /// depends.
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> PlanResult<FieldRef> {
        let fields = args.arg_fields.iter().map(|field| field.data_type()).enumerate();
        let typed = fields.zip(args.scalar_arguments).map(|(field, constant)| match constant {
            Some(value) => Typed::constant((*value).clone()),
            None => column(field),
        });
        Ok(Arc::new(Field::new(self.name, self.result(typed.collect()), true)))
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

    fn state_fields(&self, _: StateFieldsArgs) -> PlanResult<Vec<FieldRef>> {
        not_run()
    }

    fn coerce_types(&self, arguments: &[DataType]) -> PlanResult<Vec<DataType>> {
        Ok(arguments.to_vec())
    }
}
