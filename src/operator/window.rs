//! Windows: TUMBLE and HOP with GROUP BY window and keys, in two halves around an exchange by key.
//!
//! A row belongs to one *slice* (TUMBLE: the window itself; HOP: one slide), whatever the number of
//! windows it is in; a window's result is merged from its slices when it fires. A *pane* is a slice
//! with the first window in which its rows count: (slice end, first window end). Rows in time have
//! first = slice end; a row that is late for some of its HOP windows counts from the first one that
//! was open at its split's watermark, whether or not the others have really fired by then. So what
//! a row contributes to depends on its split alone, not on timing, batching or cores.
//!
//! - [`WindowSender`], before the exchange: assigns panes, decides lateness, combines rows of the
//!   same pane and key within a turn.
//! - [`WindowReceiver`], behind it: one table per pane; fires window [start, end) when the watermark
//!   reaches end − 1 ms, in the order of ends; drops a pane with its last window.
//!
//! Between them travel partial rows: pane, key, number of input rows, lanes of the aggregates.
//!
//! The ledger, in input rows. Sender: rows in = late + rejected + absorbed; absorbed rows are held
//! until their partial row is handed over and fired then; rows out are the input rows represented
//! by partial rows. Receiver: rows in are represented rows, all absorbed; a row is held until the
//! last window it counts in has fired. So rows out of all senders = rows into all receivers.
//!
//! Read: `slices` (arithmetic) · `plan` · `assign` (rows to panes, lateness) · `grouping` (combining
//! within a turn) · `sender` · `receiver` · `firing` ·
//! `kept` (beyond the process).

mod assign;
mod firing;
mod grouping;
mod kept;
mod plan;
mod receiver;
mod sender;
mod slices;
#[cfg(test)]
mod tests;

pub use plan::WindowPlan;
pub use receiver::WindowReceiver;
pub use sender::WindowSender;
