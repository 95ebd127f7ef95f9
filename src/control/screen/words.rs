//! Numbers in a few characters, three digits of them.

/// `123`, `12345`, `1.23 M`.
#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
pub(super) fn count(count: u64) -> String {
    if count < 100_000 { count.to_string() } else { scaled(count as f64, 1e3, &DECIMAL) }
}

/// A rate, without its "per second".
pub(super) fn rate(per_second: f64) -> String {
    if per_second < 99_999.5 {
        format!("{per_second:.0}")
    } else {
        scaled(per_second, 1e3, &DECIMAL)
    }
}

/// `1.23 MiB`.
pub(super) fn bytes(bytes: f64) -> String {
    if bytes < 1023.5 { format!("{bytes:.0} B") } else { scaled(bytes, 1024.0, &BINARY) }
}

/// `12.3 us`, `4.56 ms`, `7.00 s`.
pub(super) fn micros(us: f64) -> String {
    if us < 1e6 { scaled(us, 1e3, &["us", "ms"]) } else { seconds(us / 1e6) }
}

/// `12.3 s`, `4.1 min`, `7.5 h`, `365 d`; also of times ahead.
pub(super) fn seconds(seconds: f64) -> String {
    let (value, unit) = match seconds.abs() {
        below if below < 99.95 => (seconds, "s"),
        below if below < 5_970.0 => (seconds / 60.0, "min"),
        below if below < 356_400.0 => (seconds / 3_600.0, "h"),
        _ => (seconds / 86_400.0, "d"),
    };
    let digits = usize::from(value.abs() < 99.95);
    format!("{value:.digits$} {unit}")
}

/// `34 %`.
pub(super) fn share(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

const DECIMAL: [&str; 5] = ["", "k", "M", "G", "T"];
const BINARY: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// Three digits and the unit they are in.
fn scaled(value: f64, step: f64, units: &[&str]) -> String {
    let (mut value, mut unit) = (value, 0);
    while value >= step * 0.9995 && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    let digits = match value {
        below if below < 9.995 => 2,
        below if below < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {}", units[unit]).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_unit() {
        assert_eq!([0, 99_999, 100_000, 1_234_567].map(count).join(" "), "0 99999 100 k 1.23 M");
        assert_eq!([0.0, 12.4, 2.5e6].map(rate).join(" "), "0 12 2.50 M");
        assert_eq!(
            [0.0, 1023.0, 1024.0, 1_048_500.0, 3e9].map(bytes).join(" "),
            "0 B 1023 B 1.00 KiB 1.00 MiB 2.79 GiB"
        );
        assert_eq!(
            [0.5, 12.34, 999.9, 45_600.0, 2.5e6].map(micros).join(" "),
            "0.50 us 12.3 us 1.00 ms 45.6 ms 2.5 s"
        );
        assert_eq!(
            [0.0, 4.04, -61.0, 150.0, 7_200.0, 864_000.0].map(seconds).join(" "),
            "0.0 s 4.0 s -61.0 s 2.5 min 2.0 h 10.0 d"
        );
        assert_eq!(share(0.344), "34 %");
    }
}
