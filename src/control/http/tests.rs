//! The server over real sockets: pages, limits, and peers that do not behave.

use super::*;
use crate::reactor::sleep;

/// A server that answers every question with the page's name; slow when told.
fn server() -> Server {
    let ask = |question: Question| {
        let body = format!("{:?}\n", question.page);
        question.answer.send(Answer::text(200, body)).unwrap();
    };
    Server::start(Listen::At("127.0.0.1:0".parse().unwrap()), &[], ask).unwrap()
}

fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // The server may have answered and gone before everything was written.
    let _ = stream.write_all(request);
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    text
}

#[track_caller]
fn check(request: &str, expected_code: &str, expected_body: &str) {
    let text = exchange(server().address, request.as_bytes());
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text:?}"));
    assert!(head.starts_with(&format!("HTTP/1.1 {expected_code} ")), "{request:?}: {head}");
    assert_eq!(body, expected_body, "{request:?}");
}

#[test]
fn pages_are_found_by_their_paths() {
    check("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", "200", "Health\n");
    check("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n", "200", "Ready\n");
    check("GET /status?pretty HTTP/1.1\r\nHost: a\r\n\r\n", "200", "Status\n");
    check("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "200", "Metrics\n");
    let pages = "no such page; there are /healthz /readyz /status /metrics\n";
    check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "404", pages);
}

#[test]
fn nothing_is_changed_and_a_head_has_no_body() {
    check("HEAD /status HTTP/1.1\r\nHost: a\r\n\r\n", "200", "");
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let request = format!("{method} /status HTTP/1.1\r\nContent-Length: 2\r\n\r\n{{}}");
        check(&request, "405", "only GET and HEAD\n");
    }
}

#[test]
fn what_is_too_long_or_no_request_is_refused() {
    let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(HTTP_HEAD_BYTES_MAX));
    let most = format!("a request has at most {HTTP_HEAD_BYTES_MAX} bytes\n");
    check(&long, "431", &most);
    let text = exchange(server().address, b"{\"bid\": 1}\n");
    assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
}

#[test]
fn a_peer_that_says_nothing_is_told_so_and_others_are_served_meanwhile() {
    let server = server();
    let mut silent: Vec<TcpStream> = (0..HTTP_CONNECTIONS_MAX - 1)
        .map(|_| TcpStream::connect(server.address).unwrap())
        .collect();
    let answer = exchange(server.address, b"GET /readyz HTTP/1.1\r\n\r\n");
    assert!(answer.ends_with("Ready\n"), "{answer}");
    let mut text = String::new();
    silent[0].read_to_string(&mut text).unwrap();
    assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
}

#[test]
fn connections_beyond_the_limit_are_closed() {
    let server = server();
    let silent: Vec<TcpStream> =
        (0..HTTP_CONNECTIONS_MAX).map(|_| TcpStream::connect(server.address).unwrap()).collect();
    sleep(Duration::from_millis(200));
    assert_eq!(exchange(server.address, b"GET /readyz HTTP/1.1\r\n\r\n"), "");
    drop(silent);
    // Their places become free again.
    let mut tries = (0..100).inspect(|_| sleep(Duration::from_millis(50)));
    let request = b"GET /readyz HTTP/1.1\r\n\r\n";
    assert!(tries.any(|_| exchange(server.address, request).ends_with("Ready\n")));
}

#[test]
fn the_next_free_port_is_taken_unless_one_is_named() {
    let ports = (21_000..60_000).step_by(7);
    let mut listeners = ports.filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok());
    let taken = listeners.next().unwrap();
    let address = taken.local_addr().unwrap();
    let next = bind(Listen::From(address)).unwrap().local_addr().unwrap();
    assert!((1..20).contains(&(next.port() - address.port())), "{next}");
    let error = bind(Listen::At(address)).unwrap_err();
    assert_eq!(error.class, ErrorClass::Environment);
    assert!(error.lines[0].contains(&format!("cannot listen on {address}")), "{error}");
}
