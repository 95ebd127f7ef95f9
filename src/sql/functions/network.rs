//! Parts of URLs, as `java.net.URL` cuts them, and IPv4 addresses.

use arrow::datatypes::{DataType, Int64Type};
use std::net::Ipv6Addr;
use std::sync::Arc;

use super::super::eval::{Kernel, Typed};
use super::kernel::{
    Integers, Strings, all_strings, build_numbers, build_text, call, integer_argument, text_call,
};
use super::{BindOptions, Scalar};

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] = &[
    Scalar { name: "PARSE_URL", arguments: (2, 3), bind: parse_url },
    Scalar { name: "INET_ATON", arguments: (1, 1), bind: inet_aton },
    Scalar { name: "INET_NTOA", arguments: (1, 1), bind: inet_ntoa },
];

/// Those Java has a handler for; a URL of another protocol is none.
const PROTOCOLS: [&str; 8] = ["http", "https", "ftp", "file", "jar", "mailto", "jrt", "jmod"];

/// A URL's parts; borrowed from its text.
#[derive(PartialEq, Eq, Debug)]
struct Url<'a> {
    protocol: &'static str,
    authority: Option<&'a str>,
    user: Option<&'a str>,
    host: &'a str,
    path: &'a str,
    /// Path and query.
    file: &'a str,
    query: Option<&'a str>,
    fragment: Option<&'a str>,
}

impl<'a> Url<'a> {
    fn parse(text: &'a str) -> Option<Url<'a>> {
        let text = text.trim_matches(|character| character <= ' ');
        let text = match text.get(..4) {
            Some(prefix) if prefix.eq_ignore_ascii_case("url:") => &text[4..],
            _ => text,
        };
        let colon = text.find([':', '/']).filter(|&at| text[at..].starts_with(':'))?;
        let protocol = *PROTOCOLS.iter().find(|name| name.eq_ignore_ascii_case(&text[..colon]))?;
        let rest = &text[colon + 1..];
        if protocol == "jar" && !rest.contains("!/") {
            return None;
        }
        let (rest, fragment) = match rest.split_once('#') {
            Some((before, behind)) => (before, Some(behind)),
            None => (rest, None),
        };
        let hierarchical = rest.starts_with("//") && !rest.starts_with("////");
        let (authority, file) = match rest.strip_prefix("//") {
            Some(rest) if hierarchical => {
                let end = rest.find(['/', '?']).unwrap_or(rest.len());
                (Some(&rest[..end]), &rest[end..])
            }
            _ => (None, rest),
        };
        let (path, query) = match file.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (file, None),
        };
        let (user, host) = host_of(authority.unwrap_or_default())?;
        Some(Url { protocol, authority, user, host, path, file, query, fragment })
    }

    fn part(&self, name: &str) -> Option<&str> {
        match name {
            "HOST" => Some(self.host),
            "PATH" => Some(self.path),
            "QUERY" => self.query,
            "REF" => self.fragment,
            "PROTOCOL" => Some(self.protocol),
            "FILE" => Some(self.file),
            "AUTHORITY" => self.authority,
            "USERINFO" => self.user,
            _ => None,
        }
    }
}

/// User and host of `user@host:port`; `None` when the port is no number.
fn host_of(authority: &str) -> Option<(Option<&str>, &str)> {
    let (user, host) = match authority.split_once('@') {
        Some((_, behind)) if behind.contains('@') => return Some((None, "")),
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let (host, port) = if host.starts_with('[') {
        let end = host.find(']')?;
        let address = host[1..end].split('%').next()?;
        address.parse::<Ipv6Addr>().ok()?;
        let port = match &host[end + 1..] {
            "" => "",
            rest => rest.strip_prefix(':')?,
        };
        (&host[..=end], port)
    } else {
        host.split_once(':').unwrap_or((host, ""))
    };
    let valid = port.is_empty() || port.parse::<i32>().is_ok_and(|port| port >= -1);
    valid.then_some((user, host))
}

/// The value of the first `key=value` in a query.
fn value_of<'a>(query: &'a str, key: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
}

/// NULL when the text is no URL or has no such part.
fn parse_url(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let kernel: Kernel = Arc::new(|values, rows| {
        let (texts, parts) = (Strings::of(&values[0]), Strings::of(&values[1]));
        let keys = values.get(2).map(Strings::of);
        build_text(rows, rows * 16, |row, out| {
            let (text, part) = (texts.get(row)?, parts.get(row)?);
            let key = match &keys {
                Some(keys) => Some(keys.get(row)?),
                None => None,
            };
            let url = Url::parse(text)?;
            out.push_str(match key {
                None => url.part(part)?,
                Some(key) if part == "QUERY" => value_of(url.query?, key)?,
                Some(_) => return None,
            });
            Some(())
        })
    });
    Ok(text_call("PARSE_URL", all_strings(&arguments)?, kernel))
}

/// BIGINT of `a.b.c.d`; missing parts in the middle are 0, and a number alone is the address.
fn inet_aton(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let kernel: Kernel = Arc::new(|values, rows| {
        let texts = Strings::of(&values[0]);
        build_numbers::<Int64Type>(rows, |row| address_of(texts.get(row)?))
    });
    Ok(call("INET_ATON", all_strings(&arguments)?, DataType::Int64, kernel))
}

fn address_of(text: &str) -> Option<i64> {
    let mut parts = [0_i64; 4];
    let mut count = 0;
    for part in text.split('.') {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let number = part.parse().ok().filter(|number| *number <= i64::from(u32::MAX));
        *parts.get_mut(count)? = number.filter(|_| digits)?;
        count += 1;
    }
    if count > 1 && parts.iter().any(|&part| part > 255) {
        return None;
    }
    let [a, b, c, d] = parts;
    Some(match count {
        1 => a,
        2 => a << 24 | b,
        3 => a << 24 | b << 16 | c,
        _ => a << 24 | b << 16 | c << 8 | d,
    })
}

fn inet_ntoa(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let kernel: Kernel = Arc::new(|values, rows| {
        let numbers = Integers::of(&values[0])?;
        build_text(rows, rows * 15, |row, out| {
            let address = u32::try_from(numbers.get(row)?).ok()?;
            out.push_str(&std::net::Ipv4Addr::from_bits(address).to_string());
            Some(())
        })
    });
    Ok(text_call("INET_NTOA", vec![integer_argument(&arguments, 0, options)?], kernel))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, part: &str, expected: Option<&str>) {
        let parsed = Url::parse(url);
        assert_eq!(parsed.as_ref().and_then(|cut| cut.part(part)), expected, "{part} of {url}");
    }

    #[test]
    fn urls_are_cut_as_java_cuts_them() {
        check("HTTP://A.B/C", "PROTOCOL", Some("http"));
        check("  url:http://a/b  ", "PATH", Some("/b"));
        check("http://a", "PATH", Some(""));
        check("http://a?x", "QUERY", Some("x"));
        check("http://a/?", "QUERY", Some(""));
        check("http://a/#", "REF", Some(""));
        check("http://a/b#c?d", "QUERY", None);
        check("http://a:b/", "HOST", None);
        check("http://a:/", "HOST", Some("a"));
        check("http://a:-1/", "HOST", Some("a"));
        check("http://[::1]:80/x", "HOST", Some("[::1]"));
        check("http://[::1", "HOST", None);
        check("http://u@v@a/", "HOST", Some(""));
        check("http://u@v@a/", "USERINFO", None);
        check("http:a/b", "PATH", Some("a/b"));
        check("http://", "HOST", Some(""));
        check("http:///x", "AUTHORITY", Some(""));
        check("http://a/b/../c/./d", "PATH", Some("/b/../c/./d"));
        check("http://a b/c d?e f", "FILE", Some("/c d?e f"));
        check("file:///tmp/x", "PATH", Some("/tmp/x"));
        check("mailto:a@b?c=d", "QUERY", Some("c=d"));
        check("jar:file:/x!/y", "PATH", Some("file:/x!/y"));
        check("ws://a/b", "HOST", None);
        check("//a/b", "HOST", None);
        check("/x:y", "HOST", None);
        check("", "HOST", None);
        check("é:x", "HOST", None);
    }

    #[test]
    fn keys_of_a_query_are_whole() {
        assert_eq!(value_of("k=1&k=2&kk=3", "k"), Some("1"));
        assert_eq!(value_of("xk=1&k", "k"), None);
        assert_eq!(value_of("a=&b=c=d", "b"), Some("c=d"));
    }

    #[test]
    fn addresses_may_be_short() {
        let check = |text: &str, expected: Option<i64>| {
            assert_eq!(address_of(text), expected, "{text}");
        };
        check("127.0.0.1", Some(2_130_706_433));
        check("127.1", Some(2_130_706_433));
        check("127.0.1", Some(2_130_706_433));
        check("4294967295", Some(4_294_967_295));
        check("4294967296", None);
        check("99999999999999999999", None);
        check("1.256", None);
        check("1..2", None);
        check("1.2.3.4.5", None);
        check("+1", None);
    }
}
