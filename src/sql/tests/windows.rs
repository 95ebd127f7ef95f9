//! Where windows are: waiting for a GROUP BY, or in the rows.

use super::graphs::check;

const TUMBLE: &str = "TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '10' SECOND))";
const HOP: &str =
    "TABLE(HOP(TABLE bid, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND))";

#[test]
fn bounds_that_are_read_are_in_the_rows() {
    check(
        &format!("INSERT INTO out SELECT auction, window_end FROM {TUMBLE}"),
        "0 source bid (auction, ts)
         1 project auction, TUMBLE(ts, 10000 ms, 0 ms) + 10000 ms AS window_end <- 0
         2 sink out <- 1",
    );
    check(
        &format!("INSERT INTO out SELECT auction, window_time FROM {HOP} WHERE price > 1"),
        "0 source bid (auction, price, ts)
         1 filter price > 1 <- 0
         2 project auction, ts <- 1
         3 unnest HOP(ts, 5000 ms, 10000 ms, 0 ms) AS window_start <- 2
         4 project auction, window_start + 9999 ms AS window_time <- 3
         5 sink out <- 4",
    );
}

#[test]
fn windows_nobody_reads_wait_for_their_group() {
    check(
        &format!(
            "INSERT INTO out SELECT c, COUNT(*) AS n FROM (SELECT UPPER(channel) AS c, window_start, \
             window_end FROM {HOP} WHERE price > 1) GROUP BY c, window_start, window_end"
        ),
        "0 source bid (price, channel, ts)
         1 filter price > 1 <- 0
         2 project ts, UPPER(channel) AS c <- 1
         3 window HOP(ts, 5 s, 10 s) by c: COUNT(*) <- 2
         4 project c, COUNT(*) AS n <- 3
         5 sink out <- 4",
    );
}

#[test]
fn rows_that_know_their_windows_are_grouped_by_them() {
    check(
        &format!(
            "INSERT INTO out SELECT MAX(n) AS most, window_start FROM (SELECT auction, COUNT(*) AS n, \
             window_start, window_end FROM {HOP} GROUP BY auction, window_start, window_end) \
             GROUP BY window_start, window_end"
        ),
        "0 source bid (auction, ts)
         1 project ts, auction <- 0
         2 window HOP(ts, 5 s, 10 s) by auction: COUNT(*) <- 1
         3 project window_end - 1 ms AS window_time, COUNT(*) AS n <- 2
         4 window TUMBLE(window_time, 5 s): MAX(n) <- 3
         5 project MAX(n) AS most, window_end - 10000 ms AS window_start <- 4
         6 sink out <- 5",
    );
    check(
        &format!("INSERT INTO out SELECT DISTINCT auction, window_start, window_end FROM {TUMBLE}"),
        "0 source bid (auction, ts)
         1 project ts, auction <- 0
         2 window TUMBLE(ts, 10 s) by auction <- 1
         3 project auction, window_start, window_end <- 2
         4 sink out <- 3",
    );
}
