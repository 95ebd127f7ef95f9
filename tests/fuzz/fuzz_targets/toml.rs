//! Job files: whatever stands in one, the answer is a job or errors, one line each, with places in
//! the file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pelton::config::{Host, resolve_text};
use std::path::Path;

fuzz_target!(|text: &str| {
    let environment = |name: &str| (name != "UNSET").then(|| "1".to_owned());
    let host = Host { environment: &environment };
    let Err(errors) = resolve_text(Path::new("fuzz.toml"), text, &host) else { return };
    let lines = text.lines().count() + 1;
    assert!(errors.iter().count() > 0);
    for error in errors.iter() {
        let at = error.at.expect("every error has a place");
        let line = usize::try_from(at.line).expect("a line number fits");
        assert!((1..=lines).contains(&line), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
});
