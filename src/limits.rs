//! Every bound and size, with its reason, and the assertions that relate them.

/// Rows a turn hands to the operators before it looks at the network again, at most: at 50 ns a row
/// this keeps turns near 400 us under full load.
pub const TURN_ROWS_MAX: usize = 8192;

/// Rows that a turn may always hand over, however long they take: the fixed cost of a turn is about
/// 2 us.
pub const TURN_ROWS_MIN: usize = 512;

/// How long a turn under full load should take, 2 ms: rows are counted out accordingly.
pub const TURN_NS_AIM: u64 = 2_000_000;

/// Rows in one batch at most: decoders and firing windows cut here.
pub const BATCH_ROWS_MAX: usize = 8192;

/// Bytes of records behind one decoded batch, but for the last record: with longest lines, 32-bit
/// offsets into a text column still hold.
pub const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Rows of one frame at most: a batch has no more bits than this, whatever its peer says.
pub const FRAME_ROWS_MAX: u32 = 1 << 20;

/// Bytes of one frame's rows at most.
pub const FRAME_PAYLOAD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes at which an encoder begins another frame, when a frame has more than one row.
pub const FRAME_PAYLOAD_BYTES_AIM: usize = 1024 * 1024;

/// Bytes of a message, header and payload, from which on it is received into a buffer of its own:
/// below, handing a buffer to the kernel costs more than copying the part of a message that is cut.
pub const FRAME_ALONE_BYTES_MIN: usize = 32 * 1024;

/// Bytes of a message that, coming slowly, is kept outside the pool: what one connection may hold for
/// as long as it likes.
pub const FRAME_SLOW_BYTES_MAX: usize = 8 * 1024;

/// Bytes of memory in which a connection waits for its next message: with what else is kept of it, less
/// than 16 KiB.
pub const FRAME_WAIT_BYTES: usize = 4 * 1024;

/// Bytes of a buffer that frames are received into: a few fit into a second-level cache.
pub const FRAME_BUFFER_BYTES: usize = 128 * 1024;

/// Such buffers of one core for connections that begin to receive, 16 MiB; twice as many with those
/// that go on.
pub const FRAME_BUFFERS_MAX: usize = 128;

/// Bytes of the larger buffers of one core: three of the largest frames, as nobody waits for another.
pub const FRAME_LARGE_BYTES_MAX: usize = 52 * 1024 * 1024;

/// Bytes of a message's payload that a source says to a producer, or a subscriber to a sink: hello,
/// acknowledgements, an error.
pub const FRAME_ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a message of Arrow's IPC without its body: columns, or where each of them lies.
pub const IPC_METADATA_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of its body: the rows of one batch.
pub const IPC_BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Producers whose names one core remembers, with the last frame taken of each: some 100 bytes.
pub const FRAME_PRODUCERS_MAX: usize = 100_000;

/// Bytes of what is remembered of them, written with every epoch: an entry of a journal must have room for
/// several sources.
pub const FRAME_PRODUCERS_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How long a producer that was connected when a run ended holds the watermark of the next run, and its
/// end, before it is back, ns: 30 s. Clients try again more often than that.
pub const FRAME_RETURN_NS_MAX: u64 = 30_000_000_000;

/// Bytes of payloads that a producer may send beyond those taken: as much as a fast link carries while
/// an acknowledgement is under way.
pub const FRAME_CREDIT_BYTES: u64 = 8 * 1024 * 1024;

/// How long a peer may take to say hello, ns: 10 s.
pub const FRAME_HELLO_NS_MAX: u64 = 10_000_000_000;

/// How long a message may take from its first byte to its last, ns: 10 s …
pub const FRAME_MESSAGE_NS_MAX: u64 = 10_000_000_000;

/// … and a second more for so many bytes.
pub const FRAME_MESSAGE_BYTES_PER_SECOND: u64 = 64 * 1024;

/// Acknowledgements that a peer may leave unread, bytes: further ones wait, and the last one says it all.
pub const FRAME_UNREAD_BYTES_MAX: usize = 4096;

/// Bytes of hello, with all its columns.
pub const FRAME_HELLO_BYTES_MAX: usize = 256 * 1024;

/// Bytes of the name of a producer, subscriber or sink.
pub const FRAME_NAME_BYTES_MAX: usize = 255;

/// Bytes of the list that LISTAGG, ARRAY_AGG or COLLECT keeps of one group: a result's column has
/// offsets of 32 bits, and doubling must stay below them.
pub const LIST_BYTES_MAX: u64 = 1 << 30;

/// Longest line that may be configured.
pub const LINE_BYTES_CEILING: usize = 1024 * 1024 * 1024;

/// Elements one exchange edge may hold between one pair of cores.
pub const EDGE_ELEMENTS_MAX: usize = 16;

/// Slots of an edge's queue that only a barrier and the end may use.
pub const EDGE_ELEMENTS_RESERVED: usize = 2;

/// Rows of a batch at most that is copied to join it with its neighbours on the way to another
/// core: above, the copy costs more than handing over one element more.
pub const COALESCED_BATCH_ROWS_MAX: usize = 1024;

/// Raw bytes kept of a rejected record.
pub const REJECTED_RAW_BYTES_MAX: usize = 64 * 1024;

/// Longest line a source accepts unless it says otherwise.
pub const LINE_BYTES_MAX_DEFAULT: usize = 1024 * 1024;

/// Bytes of one chunk of a file sequence.
pub const FILE_CHUNK_BYTES: u64 = 4 * 1024 * 1024;

/// Bytes of a file that may be decoded ahead of what other cores still read before them: what two
/// cut chunks hold, twice.
pub const FILE_HELD_BYTES_MAX: u64 = 4 * FILE_CHUNK_BYTES;

/// Bytes of one read of a file: small enough that what was read is still in the core's cache when it
/// is decoded.
pub const FILE_PIECE_BYTES: usize = 256 * 1024;

/// Pieces of a file being read ahead of the one being decoded.
pub const FILE_READ_AHEAD: usize = 2;

/// Bytes of a file decoded at once: about 500 rows of 120 bytes, 200 us of JSON.
pub const FILE_SLICE_BYTES: usize = 64 * 1024;

/// Bytes at the start of a file by which it is known again.
pub const FILE_FINGERPRINT_BYTES: usize = 4096;

/// How often a followed file is looked at once its end was reached: 100 ms.
pub const FILE_FOLLOW_INTERVAL_NS_DEFAULT: u64 = 100_000_000;

/// Rows of one generated batch: with 250 bytes a row it stays in a second-level cache.
pub const GENERATED_BATCH_ROWS: usize = 4096;

/// Rows of one chunk of a generated sequence: cores tell each other about every chunk.
pub const GENERATED_CHUNK_ROWS: u64 = 8 * GENERATED_BATCH_ROWS as u64;

/// Chunks of a generated sequence per second, when its rows come at a rate: how often its cores take
/// turns, and at least that often the watermark moves on all of them.
pub const GENERATED_CHUNKS_PER_SECOND: u64 = 100;

/// Bytes a TCP source decodes before it pushes what they held: about 1,000 rows of 120 bytes.
pub const TCP_FEED_BYTES_MAX: usize = 128 * 1024;

/// Bytes a sink may have encoded and not yet handed to the operating system, per core.
pub const SINK_UNWRITTEN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of its newest output that a sink keeps in memory beside the journal, for subscribers that keep up:
/// what 100 ms of a fast job make.
pub const SINK_TAIL_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Bytes that a sink hands to a connection ahead of what its kernel takes, of output that it has kept.
pub const SINK_WINDOW_BYTES: usize = 1024 * 1024;

/// Names for which one sink keeps output.
pub const SUBSCRIPTIONS_MAX: usize = 1000;

/// Bytes of output that are kept for a subscriber unless the job says otherwise.
pub const OUTPUT_KEPT_BYTES_DEFAULT: u64 = 1024 * 1024 * 1024;

/// How soon a file sink tries again what there was no room for: 500 ms.
pub const SINK_NO_ROOM_RETRY_NS: u64 = 500_000_000;

/// Batches that a sink has and has not let go, of which latencies are kept apart.
pub const UNRELEASED_BATCHES_MAX: usize = 4096;

/// Encoded bytes that a file sink writes at once, when there are so many.
pub const SINK_BUFFER_BYTES: usize = 256 * 1024;

/// Encoded bytes wait no longer than this, so that who follows a file sees rows soon: 10 ms.
pub const SINK_DELAY_NS_MAX: u64 = 10_000_000;

/// Bytes of a part of a file sink.
pub const SINK_PART_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// Age of a part of a file sink: 30 s.
pub const SINK_PART_AGE_NS_MAX: u64 = 30_000_000_000;

/// Complete parts being synced and renamed while the next is filled; with more the sink waits.
pub const SINK_PARTS_CLOSING_MAX: usize = 2;

/// Complete parts of a file sink, per core, that wait for epochs to exist; with more the open part grows
/// beyond its size.
pub const SINK_PARTS_WAITING_MAX: usize = 256;

/// Bytes of a part that one range sync makes durable: lengths of range syncs are 32 bits wide.
pub const SINK_SYNC_BYTES_MAX: u64 = 1 << 30;

/// Bytes of one SQL text: a job's query, or one schema.
pub const SQL_TEXT_BYTES_MAX: usize = 1024 * 1024;

/// Tokens of one SQL text, which bounds what the planner allocates for it.
pub const SQL_TOKENS_MAX: usize = 100_000;

/// Statements of one SQL text: each view is planned where it stands.
pub const SQL_STATEMENTS_MAX: usize = 500;

/// Mistakes of a job that are reported; what is behind them is not read any more.
pub const SQL_ERRORS_MAX: usize = 100;

/// Queries named in one WITH: each is planned inside of those that read it.
pub const SQL_NAMED_QUERIES_MAX: usize = 256;

/// Characters of one error message; a text may be a single name of a megabyte.
pub const SQL_MESSAGE_CHARACTERS_MAX: usize = 1_000;

/// Bytes of a pattern that becomes a regular expression: each "any character" of it takes three
/// kilobytes while it is compiled.
pub const SQL_PATTERN_BYTES_MAX: usize = 16 * 1024;

/// Parentheses inside parentheses.
pub const SQL_NESTING_MAX: usize = 64;

/// Depth of the parser's recursion; a level of parentheses takes up to three.
pub const SQL_PARSER_DEPTH_MAX: usize = 256;

/// Depth of an expression tree; `a + b + c` is 3 deep. Evaluation recurses on a core's stack.
pub const SQL_EXPRESSION_DEPTH_MAX: usize = 256;

/// Nodes of one bound expression, a shared one counted wherever it stands: BETWEEN, NULLIF and their
/// like compute an operand twice, and twice again inside of each other. As many as there are tokens.
pub const SQL_EXPRESSION_NODES_MAX: usize = SQL_TOKENS_MAX;

/// Windows one row may be in where each is a row of its own: a batch of `BATCH_ROWS_MAX` rows then has
/// 64 MiB of bounds.
pub const WINDOWS_PER_ROW_MAX: i64 = 1_024;

/// Operators of one job before they are optimised; a view counts wherever it is read.
pub const SQL_OPERATORS_MAX: usize = 10_000;

/// Stack of the thread that plans, of which only what is used is ever memory. A text of
/// `SQL_TOKENS_MAX` tokens may be a tree as deep as it is long; places in it are found by recursion.
pub const SQL_PLANNER_STACK_BYTES: usize = 512 * 1024 * 1024;

/// Bytes of one entry of a journal: a frame with its header, and something about it.
pub const JOURNAL_ENTRY_BYTES_MAX: usize = FRAME_PAYLOAD_BYTES_MAX + 64 * 1024;

/// Bytes of one segment of a journal: 64 ms of a disk that writes 1 GB/s, while the next is prepared.
pub const JOURNAL_SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

/// Longest segment that is read: syncs have lengths of 32 bits.
pub const JOURNAL_SEGMENT_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Epochs that may be begun beyond the last one that exists. Numbers of epochs that a crash may have
/// taken without a trace are not used again.
pub const EPOCHS_IN_FLIGHT_MAX: u64 = 4;

/// Bytes ahead of the stores of a mapped journal whose pages are kept present: 8 ms at 1 GB/s, of
/// which the helper thread may spend some in the sync of a new segment.
pub const JOURNAL_POPULATE_BYTES: u64 = 8 * 1024 * 1024;

/// Bytes of one direct write of a journal.
pub const JOURNAL_BUFFER_BYTES: usize = 256 * 1024;

/// Direct writes of one journal on their way to the disk, after which its source waits.
pub const JOURNAL_BUFFERS_MAX: usize = 8;

/// Bytes of a segment that are read at once: large enough for a disk to read ahead.
pub const JOURNAL_READ_BYTES: usize = 1024 * 1024;

/// Bytes of a file beside the journals that is read as a whole: `identity.json` and the like.
pub const DIRECTORY_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Bytes of a segment that a core reads back at once.
pub const JOURNAL_PIECE_BYTES: usize = 512 * 1024;

/// Reactors of one appliance.
pub const CORES_MAX: u16 = 128;

/// Operations a core hands to its ring at once; more wait in a queue of their own.
pub const RING_SUBMISSIONS: u32 = 256;

/// Completions a core's ring holds; the kernel keeps more until there is room.
pub const RING_COMPLETIONS: u32 = 4096;

/// Receive buffers of one core, a power of two. With their size 4 MiB: about a second-level cache,
/// and the most that all peers of a core can have delivered and not yet decoded.
pub const RECEIVE_BUFFERS: u16 = 256;

/// Bytes of one receive buffer.
pub const RECEIVE_BUFFER_BYTES: usize = 16 * 1024;

/// Bytes one ring operation reads, writes or sends: copying them from the page cache takes some
/// 60 us, during which the core does nothing else.
pub const DISK_STEP_BYTES: usize = 512 * 1024;

/// Rounds of submitting and taking completions in one poll, for operations that complete at once.
pub const POLL_ROUNDS_MAX: usize = 4;

/// Memory a connection keeps for its next bytes to send.
pub const SEND_BUFFER_KEPT_BYTES: usize = 64 * 1024;

/// How often a core that works reports how it stands, ns: some 10 us each.
pub const REPORT_INTERVAL_NS: u64 = 100_000_000;

/// How often a core that has nothing to do reports, ns. Also the longest it sleeps.
pub const REPORT_INTERVAL_IDLE_NS: u64 = 1_000_000_000;

/// How soon a core that waits for room on another core looks again, ns: nobody wakes it.
pub const BLOCKED_LOOK_AGAIN_NS: u64 = 100_000;

/// Messages between two instances of one source that may wait in a ring; more wait at the sender.
pub const SOURCE_MESSAGES_MAX: usize = 64;

/// Messages between core 0 and another core about epochs that may wait in a ring; more wait at the
/// sender.
pub const CHECKPOINT_MESSAGES_MAX: usize = 16;

/// Bytes of state that a core captures in one turn: some 100 us of encoding.
pub const CAPTURE_BYTES_MAX: usize = 128 * 1024;

/// Bytes of one slice of captured state.
pub const CAPTURE_SLICE_BYTES: usize = 64 * 1024;

/// Bytes of captured state in one entry of a journal: a slice is longer when a value is.
pub const CAPTURE_PART_BYTES: usize = 1024 * 1024;

/// Ranges that a core's key groups are cut into: one at a time has three bases, all others two.
pub const BASE_RANGES: usize = 8;

/// What the state journal keeps at most, in percent of what the operators keep in memory.
pub const JOURNAL_KEPT_PERCENT_MAX: u64 = 250;

/// What the state journal of a core may keep whatever its operators do: a segment or so.
pub const JOURNAL_KEPT_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// An epoch that has been under way for so long, ns, is told of.
pub const EPOCH_OVERDUE_NS: u64 = 10_000_000_000;

/// Examples of late and rejected records a core keeps for the report.
pub const DIVERTED_EXAMPLES_MAX: usize = 5;

/// Time between two progress lines.
pub const PROGRESS_INTERVAL: std::time::Duration = std::time::Duration::from_secs(1);

const _: () = {
    assert!(BATCH_ROWS_MAX <= TURN_ROWS_MAX);
    assert!(TURN_ROWS_MIN <= TURN_ROWS_MAX);
    assert!(COALESCED_BATCH_ROWS_MAX < BATCH_ROWS_MAX);
    assert!(BATCH_BYTES_MAX + LINE_BYTES_CEILING < i32::MAX as usize);
    assert!(LINE_BYTES_MAX_DEFAULT <= LINE_BYTES_CEILING);
    // A barrier and the end must find room behind a full edge of data.
    assert!(EDGE_ELEMENTS_RESERVED >= 2);
    assert!(FILE_SLICE_BYTES <= FILE_PIECE_BYTES);
    assert!(FILE_READ_AHEAD >= 1);
    assert!(GENERATED_BATCH_ROWS <= BATCH_ROWS_MAX);
    assert!(SINK_BUFFER_BYTES < SINK_UNWRITTEN_BYTES_MAX);
    assert!(SINK_UNWRITTEN_BYTES_MAX as u64 <= SINK_PART_BYTES_MAX);
    assert!(SINK_PARTS_CLOSING_MAX < SINK_PARTS_WAITING_MAX);
    assert!(SINK_SYNC_BYTES_MAX <= u32::MAX as u64);
    assert!(EDGE_ELEMENTS_MAX > EDGE_ELEMENTS_RESERVED);
    assert!(CAPTURE_SLICE_BYTES <= CAPTURE_BYTES_MAX);
    assert!(CAPTURE_PART_BYTES <= JOURNAL_ENTRY_BYTES_MAX);
    assert!(BASE_RANGES > 1);
    assert!(3 * FRAME_PRODUCERS_BYTES_MAX < JOURNAL_ENTRY_BYTES_MAX);
    // The kernel finds an entry with a mask.
    assert!(RECEIVE_BUFFERS.is_power_of_two());
    assert!(FRAME_PAYLOAD_BYTES_AIM <= FRAME_PAYLOAD_BYTES_MAX);
    assert!(FRAME_HELLO_BYTES_MAX <= FRAME_PAYLOAD_BYTES_MAX);
    // An entry of the longest kind fits into a segment, with its first and last blocks.
    assert!(2 * JOURNAL_ENTRY_BYTES_MAX as u64 <= JOURNAL_SEGMENT_BYTES);
    assert!(JOURNAL_SEGMENT_BYTES <= JOURNAL_SEGMENT_BYTES_MAX);
    assert!(FRAME_WAIT_BYTES <= FRAME_SLOW_BYTES_MAX);
    assert!(FRAME_SLOW_BYTES_MAX < FRAME_ALONE_BYTES_MIN);
    assert!(FRAME_ALONE_BYTES_MIN < FRAME_BUFFER_BYTES);
    assert!(3 * (FRAME_PAYLOAD_BYTES_MAX + FRAME_BUFFER_BYTES) <= FRAME_LARGE_BYTES_MAX);
    // Lengths of ring operations are 32 bits wide.
    assert!(RECEIVE_BUFFER_BYTES <= u32::MAX as usize);
    assert!(DISK_STEP_BYTES <= u32::MAX as usize);
};

/// Longest job file (and query file) that is read.
pub const JOB_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Longest file that `${file:…}` may name: secrets and addresses, not data.
pub const EXPANDED_FILE_BYTES_MAX: u64 = 64 * 1024;

/// Connections one TCP source or sink serves unless it says otherwise: each may hold a line of
/// `LINE_BYTES_MAX_DEFAULT`, so that the worst case is 1 GiB.
pub const CONNECTIONS_MAX_DEFAULT: u32 = 1024;

/// Where a job's HTTP listens unless it says otherwise: there, or on one of the next ports.
pub const HTTP_PORT: u16 = 9470;

/// Ports tried, the first included.
pub const HTTP_PORTS_TRIED: u16 = 20;

/// Bytes of the head of an HTTP request.
pub const HTTP_HEAD_BYTES_MAX: usize = 8 * 1024;

/// HTTP requests served at once; further connections are closed.
pub const HTTP_CONNECTIONS_MAX: usize = 16;

/// How long an HTTP peer may take to ask, and how long to take its answer.
pub const HTTP_PEER_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(5);

/// How long the housekeeping thread may take to answer.
pub const HTTP_ANSWER_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(2);

/// Bytes of an answer that a command reads: a status of 128 cores and 100 operators has 4 MB.
pub const HTTP_ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A core that has not reported for so long, ns, counts as stuck: an idle one does every second.
pub const CORE_SILENT_NS_MAX: u64 = 10_000_000_000;
