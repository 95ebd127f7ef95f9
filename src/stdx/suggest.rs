//! "Did you mean": the known name nearest to one that is not known.

/// The candidate nearest to `given`, if one is near: at most a third of its letters differ.
/// Letter case, `-` and `_` do not count.
pub fn suggestion<'a>(
    given: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let given = normalised(given);
    let distance = |candidate: &str| strsim::damerau_levenshtein(&given, &normalised(candidate));
    let nearest = candidates.into_iter().min_by_key(|candidate| distance(candidate))?;
    let allowed = (given.chars().count().max(nearest.chars().count()) / 3).max(1);
    (distance(nearest) <= allowed).then_some(nearest)
}

/// For the end of an error line: `; did you mean "format"?`, or else all names there are.
pub fn did_you_mean(given: &str, candidates: &[&str]) -> String {
    match suggestion(given, candidates.iter().copied()) {
        Some(nearest) => format!("did you mean \"{nearest}\"?"),
        None if candidates.is_empty() => "there is none here".to_owned(),
        None => format!("known: {}", one_of(candidates)),
    }
}

/// `"a"`, `"a" or "b"`, `"a", "b" or "c"`.
pub fn one_of(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

fn normalised(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: &str, expected: Option<&str>) {
        let known = ["format", "listen", "line_max", "path", "connections_max"];
        assert_eq!(suggestion(given, known), expected, "{given}");
    }

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        check("fromat", Some("format"));
        check("Format", Some("format"));
        check("line-max", Some("line_max"));
        check("connection_max", Some("connections_max"));
        check("pth", Some("path"));
        check("schema", None);
        check("", None);
        assert_eq!(suggestion("x", []), None);
    }

    #[test]
    fn lists_read_as_english() {
        assert_eq!(one_of(&[]), "");
        assert_eq!(one_of(&["a"]), "\"a\"");
        assert_eq!(one_of(&["a", "b"]), "\"a\" or \"b\"");
        assert_eq!(one_of(&["a", "b", "c"]), "\"a\", \"b\" or \"c\"");
        assert_eq!(did_you_mean("fil", &["file", "tcp"]), "did you mean \"file\"?");
        assert_eq!(did_you_mean("kafka", &["file", "tcp"]), "known: \"file\" or \"tcp\"");
    }
}
