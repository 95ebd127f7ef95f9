//! Tokens that Flink reads and sqlparser does not, as tokens that mean the same to it.
//!
//! `U&'…' UESCAPE 'x'`, `N'…'` and `_UTF16'…'` are strings; `TIMESTAMP(p) WITH LOCAL TIME ZONE` is
//! `TIMESTAMP_LTZ(p)`; `!=` is refused, because Flink does.

use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Whitespace};

use super::error::{Checked, Fault};

/// The tokens of `text`, each with its place, in forms that sqlparser knows.
pub(super) fn in_known_forms(
    text: &str,
    tokens: Vec<TokenWithSpan>,
) -> Checked<Vec<TokenWithSpan>> {
    refuse_bang_equal(text, &tokens)?;
    let mut known = Vec::with_capacity(tokens.len());
    let mut rest = &tokens[..];
    while let [first, behind @ ..] = rest {
        rest = match string_behind(rest)? {
            Some((string, left)) => {
                known.push(TokenWithSpan { token: string, span: first.span });
                left
            }
            None => match local_zone_behind(rest) {
                Some((precision, left)) => {
                    let token = Token::make_word("TIMESTAMP_LTZ", None);
                    known.push(TokenWithSpan { token, span: first.span });
                    known.extend_from_slice(precision);
                    left
                }
                None => {
                    known.push(first.clone());
                    behind
                }
            },
        };
    }
    Ok(known)
}

/// sqlparser reads `<>` and `!=` as one token; only the text tells them apart.
fn refuse_bang_equal(text: &str, tokens: &[TokenWithSpan]) -> Checked<()> {
    let mut unequal = tokens.iter().filter(|token| token.token == Token::Neq).peekable();
    let mut place = Location { line: 1, column: 1 };
    for character in text.chars() {
        let Some(next) = unequal.peek() else { break };
        if next.span.start == place {
            if character == '!' {
                return Err(Fault::at(place, "!= is not supported; write <>"));
            }
            unequal.next();
        }
        match character {
            '\n' => place = Location { line: place.line + 1, column: 1 },
            _ => place.column += 1,
        }
    }
    Ok(())
}

/// A string written with something before its first quote, and the tokens behind it.
fn string_behind(tokens: &[TokenWithSpan]) -> Checked<Option<(Token, &[TokenWithSpan])>> {
    Ok(Some(match tokens {
        [TokenWithSpan { token: Token::NationalStringLiteral(text), .. }, left @ ..] => {
            (Token::SingleQuotedString(text.clone()), left)
        }
        [TokenWithSpan { token: Token::Word(word), span }, quoted, left @ ..]
            if word.quote_style.is_none()
                && is_character_set(&word.value)
                && span.end == quoted.span.start
                && matches!(quoted.token, Token::SingleQuotedString(_)) =>
        {
            (quoted.token.clone(), left)
        }
        [TokenWithSpan { token: Token::Word(word), .. }, and, quoted, left @ ..]
            if word.quote_style.is_none()
                && word.value.eq_ignore_ascii_case("U")
                && and.token == Token::Ampersand
                && and.span.end == quoted.span.start =>
        {
            let Token::SingleQuotedString(written) = &quoted.token else { return Ok(None) };
            let (escape, left) = escape_behind(left)?;
            let text = unescaped(written, escape).ok_or_else(|| {
                let message = format!(
                    "'{written}' has {escape} without four hexadecimal digits of a character behind it"
                );
                Fault::span(quoted.span, message)
            })?;
            (Token::SingleQuotedString(text), left)
        }
        _ => return Ok(None),
    }))
}

fn is_character_set(name: &str) -> bool {
    ["_UTF16", "_UTF8", "_UTF32"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// `UESCAPE 'x'`; without it the escape is `\`.
fn escape_behind(tokens: &[TokenWithSpan]) -> Checked<(char, &[TokenWithSpan])> {
    let (word, behind) = next_word(tokens);
    if !word.is_some_and(|word| word.token.to_string().eq_ignore_ascii_case("UESCAPE")) {
        return Ok(('\\', tokens));
    }
    let (given, left) = next_word(behind);
    let escape = given.and_then(|given| match &given.token {
        Token::SingleQuotedString(text) => single_character(text),
        _ => None,
    });
    match escape {
        Some(escape) => Ok((escape, left)),
        None => Err(Fault::span(tokens[0].span, "UESCAPE takes a string of one character")),
    }
}

/// Not a digit, a sign or a quote, which could not be told from what is escaped.
fn single_character(text: &str) -> Option<char> {
    let mut characters = text.chars();
    let only = characters.next().filter(|only| {
        !only.is_ascii_hexdigit() && !only.is_whitespace() && !matches!(only, '+' | '\'' | '"')
    });
    if characters.next().is_none() { only } else { None }
}

/// The first token that is no space, and those behind it.
fn next_word(tokens: &[TokenWithSpan]) -> (Option<&TokenWithSpan>, &[TokenWithSpan]) {
    let is_space = |token: &TokenWithSpan| {
        matches!(
            token.token,
            Token::Whitespace(Whitespace::Space | Whitespace::Newline | Whitespace::Tab)
        )
    };
    let start = tokens.iter().position(|token| !is_space(token)).unwrap_or(tokens.len());
    match tokens[start..].split_first() {
        Some((word, left)) => (Some(word), left),
        None => (None, &[]),
    }
}

/// `\263A` is a character by its UTF-16 code, two of them a pair, `\\` the escape itself.
fn unescaped(written: &str, escape: char) -> Option<String> {
    let mut units = Vec::with_capacity(written.len());
    let mut characters = written.chars();
    while let Some(character) = characters.next() {
        if character != escape {
            units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
            continue;
        }
        let rest = characters.as_str();
        if rest.starts_with(escape) {
            characters.next();
            units.extend_from_slice(escape.encode_utf16(&mut [0; 2]));
            continue;
        }
        // Java reads a sign in front of the digits as well, and so does Flink.
        let digits = rest.get(..4)?;
        units.push(u16::from_str_radix(digits, 16).ok()?);
        characters = rest[4..].chars();
    }
    String::from_utf16(&units).ok()
}

/// `TIMESTAMP`, a precision or none, `WITH LOCAL TIME ZONE`: the tokens of the precision, and those
/// behind it all.
fn local_zone_behind(tokens: &[TokenWithSpan]) -> Option<(&[TokenWithSpan], &[TokenWithSpan])> {
    let (first, behind) = tokens.split_first()?;
    if !is_keyword(first, Keyword::TIMESTAMP) {
        return None;
    }
    let precision = match next_word(behind) {
        (Some(open), _) if open.token == Token::LParen => {
            let close = behind.iter().take(8).position(|token| token.token == Token::RParen)?;
            &behind[..=close]
        }
        _ => &behind[..0],
    };
    let mut rest = &behind[precision.len()..];
    for keyword in [Keyword::WITH, Keyword::LOCAL, Keyword::TIME, Keyword::ZONE] {
        let (word, left) = next_word(rest);
        word.filter(|word| is_keyword(word, keyword))?;
        rest = left;
    }
    Some((precision, rest))
}

fn is_keyword(token: &TokenWithSpan, keyword: Keyword) -> bool {
    matches!(&token.token, Token::Word(word) if word.keyword == keyword && word.quote_style.is_none())
}

#[cfg(test)]
mod tests {
    use super::super::dialect::tokenize;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let shown = match tokenize(text) {
            Ok((tokens, _)) => {
                tokens.iter().map(|token| token.token.to_string()).collect::<String>()
            }
            Err(fault) => fault.message,
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn strings_have_more_than_one_form() {
        check(r"U&'snow\2603'", "'snow☃'");
        check(r"u&'\\' , 1", r"'\' , 1");
        check(r"U&'#d83d#de00' UESCAPE '#' = s", "'😀' = s");
        check("N'x' || _UTF16'y' || _utf8'z'", "'x' || 'y' || 'z'");
        check("u & 'a' _UTF16 'y'", "u & 'a' _UTF16 'y'");
        check("`U`&'a'", "`U`&'a'");
        check(r"U&'\26'", r"'\26' has \ without four hexadecimal digits of a character behind it");
        check(
            r"U&'\d83d'",
            r"'\d83d' has \ without four hexadecimal digits of a character behind it",
        );
        check("U&'a' UESCAPE 'ab'", "UESCAPE takes a string of one character");
        check("U&'a' UESCAPE", "UESCAPE takes a string of one character");
    }

    #[test]
    fn timestamps_with_local_time_zone() {
        check("TIMESTAMP WITH LOCAL TIME ZONE, x", "TIMESTAMP_LTZ, x");
        check("timestamp(3)  with local\ntime zone NOT NULL", "TIMESTAMP_LTZ(3) NOT NULL");
        check("TIMESTAMP(3) WITHOUT TIME ZONE", "TIMESTAMP(3) WITHOUT TIME ZONE");
        check("TIMESTAMP(3", "TIMESTAMP(3");
        check("TIMESTAMP", "TIMESTAMP");
    }

    #[test]
    fn bang_equal_is_refused() {
        check("a <> b", "a <> b");
        check("'!=' <> b", "'!=' <> b");
        check("'é\n'\n <> b AND c != d", "!= is not supported; write <>");
    }
}
