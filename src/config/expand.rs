//! `${env:NAME}` and `${file:/path}` in string values.
//!
//! `$${` stands for a literal `${`. SQL and schema texts are never expanded: what they say is what
//! stands in the file.

use std::path::Path;

use super::Host;
use crate::limits::EXPANDED_FILE_BYTES_MAX;

/// `text` with its references replaced. Relative files are relative to `directory`.
///
/// # Errors
/// In words for the user; never with a value in it, which may be a secret.
pub(super) fn expand(text: &str, directory: &Path, host: &Host<'_>) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if let Some(before) = rest[..at].strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        expanded.push_str(&rest[..at]);
        let (reference, behind) = rest[at + 2..]
            .split_once('}')
            .ok_or("`${` without `}`; write `$${` for a literal `${`")?;
        expanded.push_str(&look_up(reference, directory, host)?);
        rest = behind;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn look_up(reference: &str, directory: &Path, host: &Host<'_>) -> Result<String, String> {
    match reference.split_once(':') {
        Some(("env", name)) => (host.environment)(name)
            .ok_or_else(|| format!("the environment variable {name} is not set or not UTF-8")),
        Some(("file", path)) => read_secret(&directory.join(path)),
        _ => Err(format!("`${{{reference}}}` is neither `${{env:NAME}}` nor `${{file:/path}}`")),
    }
}

/// The file's text without the line end most editors leave behind.
fn read_secret(path: &Path) -> Result<String, String> {
    let failed = |reason: String| format!("${{file:{}}}: {reason}", path.display());
    let status = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?;
    if !status.is_file() || status.len() > EXPANDED_FILE_BYTES_MAX {
        return Err(failed(format!("not a file of at most {EXPANDED_FILE_BYTES_MAX} bytes")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("secret"), "s3cret\n").unwrap();
        let environment = |name: &str| (name == "PORT").then(|| "9000".to_owned());
        let host = Host { environment: &environment };
        let result = expand(text, directory.path(), &host);
        let directory = directory.path().to_str().unwrap();
        let result = result.map_err(|error| error.replace(directory, "."));
        assert_eq!(result.as_deref().map_err(String::as_str), expected, "{text}");
    }

    #[test]
    fn references_are_replaced() {
        check("plain", Ok("plain"));
        check("127.0.0.1:${env:PORT}", Ok("127.0.0.1:9000"));
        check("${env:PORT}${env:PORT}", Ok("90009000"));
        check("<${file:secret}>", Ok("<s3cret>"));
        check("$${env:PORT} ${env:PORT}", Ok("${env:PORT} 9000"));
        check("a$b{c}", Ok("a$b{c}"));
        check("${env:HOST}", Err("the environment variable HOST is not set or not UTF-8"));
        check("${env:PORT", Err("`${` without `}`; write `$${` for a literal `${`"));
        check("${PORT}", Err("`${PORT}` is neither `${env:NAME}` nor `${file:/path}`"));
        check("${file:none}", Err("${file:./none}: No such file or directory (os error 2)"));
        check("${file:.}", Err("${file:./.}: not a file of at most 65536 bytes"));
    }
}
