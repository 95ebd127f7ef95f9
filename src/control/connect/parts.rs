//! File sinks: directories made and held, parts of an earlier run completed, one sink per core made.

use std::path::Path;
use std::sync::Arc;

use super::super::prepare::{Prepared, PreparedSink};
use super::super::{ErrorClass, JobError, log};
use super::{MakeSink, Start};
use crate::config::{FileSinkConfig, Release};
use crate::format::{self, FormatOptions};
use crate::sink::{
    FileSink, FileSinkOptions, PartOwner, PartRelease, PreparedDirectory, SystemFiles,
    prepare_directory, recover_parts,
};
use crate::stdx::Failure;

pub(super) fn open_file_sink(
    prepared: &Prepared,
    sink: &PreparedSink,
    file: &FileSinkConfig,
    start: Start<'_>,
) -> Result<MakeSink, JobError> {
    let (directory, release) = open_directory(prepared, sink, &file.path, start)?;
    for note in &directory.notes {
        log::note(note);
    }
    let (format, schema) = (sink.format().clone(), sink.planned.schema.clone());
    let file = file.clone();
    let extension = match &format {
        FormatOptions::Json(_) => "json",
        FormatOptions::Csv(_) => "csv",
        FormatOptions::Raw => "txt",
        FormatOptions::Frames => "frames",
        // As Arrow names streams; `.arrow` is its file format.
        FormatOptions::Arrow => "arrows",
    };
    Ok(Box::new(move |core, _| {
        let encoder = format::encoder(&format, &schema);
        Box::new(FileSink::new(FileSinkOptions {
            directory: file.path.clone(),
            run: directory.run,
            core,
            extension: extension.to_owned(),
            encoder: encoder.expect("the same options were tried before the start"),
            part_bytes_max: file.part_bytes_max,
            part_age_ns_max: u64::try_from(file.part_age_max.as_nanos()).unwrap_or(u64::MAX),
            release: release.clone(),
        }))
    }))
}

/// Where epochs decide, now or in the run before, parts have an owner, and what that run left of them is
/// completed first.
fn open_directory(
    prepared: &Prepared,
    sink: &PreparedSink,
    path: &Path,
    start: Start<'_>,
) -> Result<(PreparedDirectory, PartRelease), JobError> {
    let name = &sink.planned.name;
    let at_sink = |failure: Failure| {
        let message = format!("sink \"{name}\": {}", failure.message);
        JobError::from(Failure { message, ..failure })
    };
    let prepare = |run_min| {
        prepare_directory(path, run_min)
            .map_err(|error| JobError::new(ErrorClass::Io, format!("sink \"{name}\": {error}")))
    };
    let positions = start.epoch.map(|epoch| epoch.sink_positions(name)).unwrap_or_default();
    let commits = start.is_durable && sink.config.release == Release::Commit;
    if !commits && positions.is_empty() {
        return Ok((prepare(0)?, PartRelease::Immediate));
    }
    // Secret, and the same in all runs that go on from one another.
    let number = prepared.graph.hasher.hash(format!("parts of {name}").as_bytes());
    let owner = PartOwner::hold(path, number).map_err(at_sink)?;
    let recovered = recover_parts(&SystemFiles, path, number, &positions).map_err(at_sink)?;
    for note in &recovered.notes {
        log::note(&format!("sink \"{name}\": {note}"));
    }
    // Also above all runs of this job whose parts are gone.
    let directory = prepare(recovered.run_max.max(start.run - 1))?;
    let release = match commits {
        true => PartRelease::Commit(Arc::new(owner)),
        false => PartRelease::Immediate,
    };
    Ok((directory, release))
}
