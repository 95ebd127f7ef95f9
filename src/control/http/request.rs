//! The head of an HTTP request: what is asked for, and nothing else of it.

use super::Answer;

/// Header lines a request may have.
const HEADERS_MAX: usize = 64;

/// What a request wants done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Method {
    Get,
    /// The same without the body.
    Head,
    /// Something that is not done here.
    Other,
}

/// A request as far as it matters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub(super) method: Method,
    /// Without the query.
    pub(super) path: String,
}

impl Head {
    /// `None` when the head is not complete yet.
    ///
    /// # Errors
    /// The answer to what is no HTTP/1 request.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Head>, Answer> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(bytes) {
            Ok(httparse::Status::Partial) => return Ok(None),
            Ok(httparse::Status::Complete(_)) => {}
            Err(error) => return Err(Answer::text(400, format!("no HTTP request: {error}\n"))),
        }
        let method = match request.method {
            Some("GET") => Method::Get,
            Some("HEAD") => Method::Head,
            _ => Method::Other,
        };
        let target = request.path.unwrap_or("/");
        let path = target.split(['?', '#']).next().unwrap_or(target).to_owned();
        Ok(Some(Head { method, path }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &str, expected: &str) {
        let shown = match Head::parse(bytes.as_bytes()) {
            Ok(None) => "more".to_owned(),
            Ok(Some(Head { method, path })) => format!("{method:?} {path}"),
            Err(answer) => answer.code.to_string(),
        };
        assert_eq!(shown, expected, "{bytes:?}");
    }

    #[test]
    fn the_first_line_says_what_is_wanted() {
        check("GET /status HTTP/1.1\r\nHost: a\r\n\r\n", "Get /status");
        check("HEAD /metrics?x=1 HTTP/1.0\r\n\r\n", "Head /metrics");
        check("POST /status HTTP/1.1\r\n\r\nbody", "Other /status");
    }

    #[test]
    fn every_prefix_waits_for_the_rest() {
        let whole = "GET /status HTTP/1.1\r\nHost: localhost:9470\r\nAccept: */*\r\n\r\n";
        (0..whole.len()).for_each(|end| check(&whole[..end], "more"));
        check(whole, "Get /status");
    }

    #[test]
    fn what_is_no_request_is_refused() {
        check("{\"a\": 1}\n", "400");
        check("GET /status HTTP/2.0\r\n\r\n", "400");
        let many: String = (0..=HEADERS_MAX).map(|n| format!("a{n}: b\r\n")).collect();
        check(&format!("GET / HTTP/1.1\r\n{many}\r\n"), "400");
    }
}
