//! One value: from what was written to what its key takes, or a sentence that says why not.

use std::collections::HashSet;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;
use toml::de::{DeArray, DeValue};

use super::error::Position;
use super::job::CoreChoice;
use super::key::{CORES, Kind};
use crate::limits::{FRAME_NAME_BYTES_MAX, SUBSCRIPTIONS_MAX};
use crate::source::FieldOption;
use crate::sql::SqlText;
use crate::stdx::{
    did_you_mean, format_byte_size, format_duration, one_of, parse_byte_size, parse_duration,
    suggestion,
};

/// A value as its key's kind has it.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Flag(bool),
    Count(u64),
    Time(Duration),
    /// One of the words of the kind.
    Word(&'static str),
    Character(u8),
    Address(SocketAddr),
    Sql(SqlText),
    Cores(CoreChoice),
    Names(Vec<String>),
    Fields(Vec<GivenField>),
}

/// An option of a column, with where it stands.
#[derive(Clone, Debug)]
pub(super) struct GivenField {
    pub(super) field: FieldOption,
    /// Of the value.
    pub(super) at: Position,
}

impl GivenField {
    /// `fields.id.kind`, for errors.
    pub(super) fn key(&self) -> String {
        format!("fields.{}.{}", self.field.column, self.field.option)
    }
}

/// A value with where it stands.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) value: Value,
    /// Of the value.
    pub(super) at: Position,
}

/// A value that is no text in TOML.
///
/// # Errors
/// What the key takes instead.
pub(super) fn from_toml(kind: &Kind, value: &DeValue<'_>) -> Result<Value, String> {
    match (kind, value) {
        (Kind::Flag, DeValue::Boolean(flag)) => Ok(Value::Flag(*flag)),
        (Kind::Count { min, max }, DeValue::Integer(_)) => {
            whole_number(value).filter(|number| (*min..=*max).contains(number)).map_or_else(
                || Err(format!("is out of range; allowed: {min} to {max}")),
                |number| Ok(Value::Count(number)),
            )
        }
        (Kind::Cores, DeValue::Integer(_)) => core_count(whole_number(value)).map(Value::Cores),
        (Kind::Cores, DeValue::Array(cpus)) => cpu_list(cpus).map(Value::Cores),
        (Kind::Names, DeValue::Array(names)) => {
            let texts = names.iter().map(|name| name.get_ref().as_str().map(str::to_owned));
            let texts = texts.collect::<Option<Vec<String>>>();
            texts
                .ok_or_else(|| format!("is no list of names; {}", expectation(kind)))
                .and_then(names_of)
        }
        _ => Err(format!("is {}; {}", article(value.type_str()), expectation(kind))),
    }
}

/// A value that is a text: in TOML after `${…}` was replaced, or an option of CREATE TABLE.
///
/// # Errors
/// What the key takes instead.
pub(super) fn from_text(kind: &Kind, text: &str) -> Result<Value, String> {
    match kind {
        Kind::Text => Ok(Value::Text(text.to_owned())),
        Kind::Name => name(text),
        Kind::Path if text.is_empty() => Err("is empty; write a path".to_owned()),
        Kind::Path if text.contains('\0') => Err("has a NUL character in it".to_owned()),
        Kind::Path => Ok(Value::Text(text.to_owned())),
        Kind::Address => address(text).map(Value::Address),
        Kind::Bytes { min, max } => byte_size(text, *min, *max),
        Kind::Time { min, max, words } => time(text, *min, *max, words),
        Kind::Choice { known, planned } => choice(text, known, planned),
        Kind::Character => character(text),
        Kind::Cores if text == "all" => Ok(Value::Cores(CoreChoice::All)),
        Kind::Names => names_of(text.split(';').map(|name| name.trim().to_owned()).collect()),
        Kind::Flag | Kind::Count { .. } | Kind::Cores | Kind::Sql | Kind::Fields => {
            Err(format!("is a string; {}", expectation(kind)))
        }
    }
}

/// What a kind takes, as the second half of an error line.
fn expectation(kind: &Kind) -> String {
    match kind {
        Kind::Text | Kind::Name | Kind::Path | Kind::Sql => {
            "write a string, between quotes".to_owned()
        }
        Kind::Address => "write \"host:port\", such as \"127.0.0.1:9000\"".to_owned(),
        Kind::Flag => "write true or false, without quotes".to_owned(),
        Kind::Count { min, max } => format!("write a whole number from {min} to {max}"),
        Kind::Bytes { .. } => "write a size with its unit, such as \"64MiB\"".to_owned(),
        Kind::Time { words, .. } => {
            let words =
                if words.is_empty() { String::new() } else { format!(", or {}", one_of(words)) };
            format!("write a duration with its unit, such as \"100ms\"{words}")
        }
        Kind::Choice { known, .. } => format!("write {}", one_of(known)),
        Kind::Character => "write one character, such as \";\"".to_owned(),
        Kind::Fields => {
            "write a table of tables, such as { id = { kind = \"sequence\", start = 1, end = 9 } }"
                .to_owned()
        }
        Kind::Names => "write a list of names, such as [\"ledger\", \"audit\"]".to_owned(),
        Kind::Cores => "write \"all\", a count, or a list of CPUs such as [2, 3]".to_owned(),
    }
}

fn article(type_name: &str) -> String {
    let article = if type_name.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {type_name}")
}

fn name(text: &str) -> Result<Value, String> {
    if is_name(text) {
        return Ok(Value::Text(text.to_owned()));
    }
    Err("is no name; use 1 to 64 letters, digits, `_`, `-` or `.`".to_owned())
}

/// Names end in file names, metrics and messages.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    (1..=64).contains(&text.len()) && text.chars().all(allowed) && !text.starts_with('.')
}

fn byte_size(text: &str, min: u64, max: u64) -> Result<Value, String> {
    let units = "write a whole number with B, KB, KiB, MB, MiB, GB or GiB, such as \"64MiB\"";
    let bytes = parse_byte_size(text).map_err(|error| format!("{error}; {units}"))?;
    if (min..=max).contains(&bytes) {
        return Ok(Value::Count(bytes));
    }
    let (min, max) = (format_byte_size(min), format_byte_size(max));
    Err(format!("is out of range; allowed: {min} to {max}"))
}

fn time(text: &str, min: Duration, max: Duration, words: &[&'static str]) -> Result<Value, String> {
    if let Some(word) = words.iter().find(|word| **word == text) {
        return Ok(Value::Word(word));
    }
    let units = || {
        let words = words.iter().map(|word| format!(", or \"{word}\"")).collect::<String>();
        format!("write a whole number with ns, us, ms, s, min, h or d, such as \"100ms\"{words}")
    };
    let duration = parse_duration(text).map_err(|error| format!("{error}; {}", units()))?;
    if (min..=max).contains(&duration) {
        return Ok(Value::Time(duration));
    }
    let (min, max) = (format_duration(min), format_duration(max));
    Err(format!("is out of range; allowed: {min} to {max}"))
}

fn choice(text: &str, known: &[&'static str], planned: &[&'static str]) -> Result<Value, String> {
    if let Some(word) = known.iter().find(|word| **word == text) {
        return Ok(Value::Word(word));
    }
    if planned.contains(&text) {
        return Err(format!("is planned and not in this version; use {}", one_of(known)));
    }
    Err(match suggestion(text, known.iter().copied()) {
        Some(nearest) => format!("is unknown; did you mean \"{nearest}\"?"),
        None => format!("is unknown; {}", did_you_mean(text, known)),
    })
}

fn character(text: &str) -> Result<Value, String> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n' | 0) => {
            Ok(Value::Character(*byte))
        }
        _ => Err("is not one ASCII character other than a quote or a line end".to_owned()),
    }
}

/// Host names are looked up here, once; of several addresses an IPv4 one is preferred, because
/// that is what `localhost` means to most listeners.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let expected = || expectation(&Kind::Address);
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(address);
    }
    let (host, port) =
        text.rsplit_once(':').ok_or_else(|| format!("has no port; {}", expected()))?;
    let port: u16 =
        port.parse().map_err(|_| format!("has no port from 0 to 65535; {}", expected()))?;
    if host.is_empty() {
        return Err(format!("has no host; {}", expected()));
    }
    let found: Vec<SocketAddr> = (host, port)
        .to_socket_addrs()
        .map_err(|error| format!("cannot be looked up: {error}"))?
        .collect();
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| "has no address".to_owned())
}

/// The value of `--cores`: `all`, `4`, `2,3` or `[2,3]`.
///
/// # Errors
/// What is allowed, in words for the user.
pub fn parse_cores(text: &str) -> Result<CoreChoice, String> {
    if text == "all" {
        return Ok(CoreChoice::All);
    }
    let list = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if list.is_none() && !text.contains(',') {
        return core_count(text.parse().ok());
    }
    let cpus = list.unwrap_or(text).split(',').map(|cpu| cpu.trim().parse().ok());
    check_cpus(cpus.collect())
}

fn core_count(count: Option<u64>) -> Result<CoreChoice, String> {
    let count = count.filter(|count| CORES.contains(count));
    let count = count.and_then(|count| u16::try_from(count).ok());
    count.map(CoreChoice::Count).ok_or_else(|| {
        format!(
            "is out of range; write \"all\", a count from 1 to {}, or a list of CPUs",
            CORES.end()
        )
    })
}

fn cpu_list(cpus: &DeArray<'_>) -> Result<CoreChoice, String> {
    let cpus = cpus.iter().map(|cpu| whole_number(cpu.get_ref()));
    check_cpus(cpus.map(|cpu| cpu.and_then(|cpu| u16::try_from(cpu).ok())).collect())
}

fn check_cpus(cpus: Option<Vec<u16>>) -> Result<CoreChoice, String> {
    let cpus = cpus.ok_or("is no list of CPU numbers; write a list such as [2, 3]")?;
    let mut distinct = cpus.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < cpus.len() {
        return Err("names a CPU twice; list each CPU once".to_owned());
    }
    if !CORES.contains(&(cpus.len() as u64)) {
        return Err(format!("has {} CPUs; list 1 to {}", cpus.len(), CORES.end()));
    }
    Ok(CoreChoice::Cpus(cpus))
}

/// Names as subscribers say them in hello.
fn names_of(names: Vec<String>) -> Result<Value, String> {
    let fits = |name: &String| (1..=FRAME_NAME_BYTES_MAX).contains(&name.len());
    if !names.iter().all(fits) {
        return Err(format!("has a name that has not 1 to {FRAME_NAME_BYTES_MAX} bytes"));
    }
    if names.len() > SUBSCRIPTIONS_MAX {
        return Err(format!("has {} names; {SUBSCRIPTIONS_MAX} are allowed", names.len()));
    }
    let distinct: HashSet<&String> = names.iter().collect();
    if distinct.len() < names.len() {
        return Err("has a name twice; list each name once".to_owned());
    }
    Ok(Value::Names(names))
}

fn whole_number(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<CoreChoice, &str>) {
        assert_eq!(parse_cores(text), expected.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn cores_on_the_command_line() {
        check("all", Ok(CoreChoice::All));
        check("3", Ok(CoreChoice::Count(3)));
        check("2,3", Ok(CoreChoice::Cpus(vec![2, 3])));
        check("[5]", Ok(CoreChoice::Cpus(vec![5])));
        let range = "is out of range; write \"all\", a count from 1 to 128, or a list of CPUs";
        check("0", Err(range));
        check("129", Err(range));
        check("many", Err(range));
        check("1,x", Err("is no list of CPU numbers; write a list such as [2, 3]"));
        check("1,1", Err("names a CPU twice; list each CPU once"));
        check("[]", Err("is no list of CPU numbers; write a list such as [2, 3]"));
    }

    #[test]
    fn addresses_need_host_and_port() {
        assert_eq!(address("127.0.0.1:0"), Ok("127.0.0.1:0".parse().unwrap()));
        assert_eq!(address("[::1]:9"), Ok("[::1]:9".parse().unwrap()));
        assert_eq!(address("localhost:9000"), Ok("127.0.0.1:9000".parse().unwrap()));
        assert!(address("9000").unwrap_err().starts_with("has no port; "));
        assert!(address(":9000").unwrap_err().starts_with("has no host; "));
        assert!(address("h:99999").unwrap_err().starts_with("has no port from 0 "));
    }
}
