//! Digests as hexadecimal text: MD5, SHA-1 and the SHA-2 family.

use datafusion_common::{Result as PlanResult, exec_datafusion_err};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use std::sync::Arc;

use super::super::eval::{Kernel, Typed};
use super::encoding::push_hex;
use super::kernel::{
    Bytes, Integers, build_text, bytes_argument, fallible_call, integer_argument, integer_constant,
    text_call, try_build_text,
};
use super::{BindOptions, Scalar};
use arrow::datatypes::DataType;

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] = &[
    Scalar { name: "MD5", arguments: (1, 1), bind: |a, _| digest("MD5", &a, push::<Md5>) },
    Scalar { name: "SHA1", arguments: (1, 1), bind: |a, _| digest("SHA1", &a, push::<Sha1>) },
    Scalar { name: "SHA224", arguments: (1, 1), bind: |a, _| digest("SHA224", &a, push::<Sha224>) },
    Scalar { name: "SHA256", arguments: (1, 1), bind: |a, _| digest("SHA256", &a, push::<Sha256>) },
    Scalar { name: "SHA384", arguments: (1, 1), bind: |a, _| digest("SHA384", &a, push::<Sha384>) },
    Scalar { name: "SHA512", arguments: (1, 1), bind: |a, _| digest("SHA512", &a, push::<Sha512>) },
    Scalar { name: "SHA2", arguments: (2, 2), bind: sha2 },
];

type Hasher = fn(&[u8], &mut String);

fn push<D: Digest>(bytes: &[u8], out: &mut String) {
    push_hex(&D::digest(bytes), b"0123456789abcdef", out);
}

fn digest(name: &str, arguments: &[Typed], hash: Hasher) -> Bound {
    let kernel: Kernel = Arc::new(move |values, rows| {
        let inputs = Bytes::of(&values[0]);
        build_text(rows, rows * 64, |row, out| {
            hash(inputs.get(row)?, out);
            Some(())
        })
    });
    Ok(text_call(name, vec![bytes_argument(arguments, 0)?], kernel))
}

/// `SHA2(x, bits)`; 1 bit stands for SHA-1, because Flink asks Java for `SHA-1` then.
fn sha2(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let expressions =
        vec![bytes_argument(&arguments, 0)?, integer_argument(&arguments, 1, options)?];
    if let Some(bits) = integer_constant(&arguments[1]) {
        hasher(bits).map_err(|error| error.strip_backtrace())?;
    }
    let kernel: Kernel = Arc::new(|values, rows| {
        let (inputs, sizes) = (Bytes::of(&values[0]), Integers::of(&values[1])?);
        try_build_text(rows, rows * 64, |row, out| {
            let (Some(bytes), Some(bits)) = (inputs.get(row), sizes.get(row)) else {
                return Ok(None);
            };
            hasher(bits)?(bytes, out);
            Ok(Some(()))
        })
    });
    Ok(fallible_call("SHA2", expressions, DataType::Utf8, kernel))
}

fn hasher(bits: i64) -> PlanResult<Hasher> {
    match bits {
        1 => Ok(push::<Sha1>),
        224 => Ok(push::<Sha224>),
        256 => Ok(push::<Sha256>),
        384 => Ok(push::<Sha384>),
        512 => Ok(push::<Sha512>),
        other => Err(exec_datafusion_err!("SHA2 has 224, 256, 384 or 512 bits, not {other}")),
    }
}
