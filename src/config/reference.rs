//! The documented default: `config/default.toml`, embedded, printed by `pelton check --reference`.

/// Every key with its default and its meaning; itself a job that `pelton check` accepts.
pub const REFERENCE: &str = include_str!("../../config/default.toml");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::key::{SECTIONS, Section, TOP};
    use crate::config::{Host, Job, resolve_text};
    use std::collections::BTreeSet;
    use std::path::Path;

    fn resolve(text: &str) -> Job {
        let host = Host { environment: &|_| None };
        resolve_text(Path::new("default.toml"), text, &host)
            .unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// `(section, key, line)` of every key in `text`, those behind `# ` included.
    fn documented(text: &str) -> Vec<(String, String, String)> {
        let mut section = String::new();
        let mut found = Vec::new();
        for line in text.lines() {
            if let Some(header) = line.strip_prefix('[') {
                section = header.split([']', '.']).next().unwrap().to_owned();
                continue;
            }
            let Some((key, _)) = line.split_once(" = ") else { continue };
            let key = key.strip_prefix("# ").unwrap_or(key);
            if !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
                found.push((section.clone(), key.to_owned(), line.to_owned()));
            }
        }
        found
    }

    #[test]
    fn the_reference_documents_every_key_and_no_other() {
        let documented: BTreeSet<(String, String)> =
            documented(REFERENCE).into_iter().map(|(section, key, _)| (section, key)).collect();
        let keys_of = |section: &'static Section| {
            section.keys.iter().map(|key| (section.name.to_owned(), key.name.to_owned()))
        };
        let known: BTreeSet<(String, String)> =
            std::iter::once(&TOP).chain(SECTIONS).flat_map(keys_of).collect();
        assert_eq!(documented, known);
    }

    #[test]
    fn the_values_shown_are_the_defaults() {
        let full = resolve(REFERENCE);
        // Everything that is not an example is left out; what is left has the same meaning.
        let mut example = false;
        let kept: Vec<&str> = REFERENCE
            .lines()
            .filter(|line| {
                let is_key = line.contains(" = ") && !line.starts_with('#');
                let keep = !is_key || example;
                // An example is marked in the comment above it.
                example = line.starts_with("# Example.") || (example && line.starts_with('#'));
                keep
            })
            .collect();
        let bare = resolve(&kept.join("\n"));
        assert!(kept.len() + 25 < REFERENCE.lines().count(), "little was left out");
        assert_eq!(bare.name, full.name);
        assert_eq!(bare.reactor, full.reactor);
        assert_eq!(bare.durability, full.durability);
        assert_eq!(bare.time_zone, full.time_zone);
        assert_eq!(bare.limits, full.limits);
        assert_eq!(bare.sources, full.sources);
        assert_eq!(bare.sinks, full.sinks);
    }

    #[test]
    fn what_stands_behind_a_comment_sign_is_a_value_of_its_key() {
        let lines = documented(REFERENCE);
        let commented: Vec<_> = lines.iter().filter(|(_, _, line)| line.starts_with('#')).collect();
        assert!(commented.len() >= 5, "{commented:?}");
        for (section, key, line) in commented {
            let table = match section.as_str() {
                "sources" | "sinks" => format!("[{section}.x]"),
                _ => format!("[{section}]"),
            };
            let text = format!("{table}\n{}\n", line.trim_start_matches("# "));
            let host = Host { environment: &|_| None };
            let errors = resolve_text(Path::new("x.toml"), &text, &host).unwrap_err();
            let own = format!(".{key}: ");
            // Missing keys beside it, an unknown sink or an absent file are another matter.
            for error in errors.lines().iter().filter(|error| error.contains(&own)) {
                let other = ["not a table under [sinks]", "cannot be read", "missing"];
                assert!(other.iter().any(|allowed| error.contains(allowed)), "{error}");
            }
        }
    }
}
