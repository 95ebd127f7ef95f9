//! Recovery on a real file system: what is found, and what is made of it.

use std::path::Path;

use super::super::directory::PartOwner;
use super::*;
use crate::stdx::FailureClass;

const OWNER: u64 = 0xab;

/// Names after `out/` and texts of all files, in order.
fn shown(root: &Path) -> String {
    let mut names = SystemFiles.names(&root.join("out")).unwrap();
    names.sort();
    let show = |name: &String| {
        let text = fs::read_to_string(root.join("out").join(name)).unwrap();
        format!("{}={text}", short(name))
    };
    names.iter().map(show).collect::<Vec<_>>().join(" ")
}

/// `~` for what is hidden, `?` for what is hidden and another's.
fn short(name: &str) -> String {
    let own = name.strip_suffix(".00000000000000ab.open").map(|name| ('~', name));
    let other = name.strip_suffix(".00000000000000cd.open").map(|name| ('?', name));
    match own.or(other) {
        Some((mark, part)) => part.replacen('.', &mark.to_string(), 1).replace(".txt", ""),
        None => name.replace(".txt", ""),
    }
}

fn long(short: &str) -> String {
    match (short.strip_prefix('~'), short.strip_prefix('?')) {
        (Some(name), _) => format!(".{name}.txt.00000000000000ab.open"),
        (_, Some(name)) => format!(".{name}.txt.00000000000000cd.open"),
        _ => format!("{short}.txt"),
    }
}

fn position(root: &Path, parts: &str) -> Vec<u8> {
    let part = |part: &str| {
        let (number, rest) = part.split_once(':').unwrap();
        let (bytes, end) = rest.split_once('+').unwrap_or((rest, ""));
        let (number, bytes) = (number.parse().unwrap(), bytes.parse().unwrap());
        PartPosition { number, bytes, end: end.as_bytes().to_vec() }
    };
    let parts = parts.split_whitespace().map(part).collect();
    let (directory, extension) = (root.join("out"), "txt".to_owned());
    Position { directory, extension, run: 2, parts }.encode()
}

/// Recovers `files`, such as `~part-0002-01-00000=text`, of whose parts core 1 noted `parts`, such as
/// `0:17+end`; says what there is then, or the failure.
fn recovered(files: &str, parts: &str) -> (tempfile::TempDir, Result<RecoveredParts, Failure>) {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("out")).unwrap();
    for file in files.split_whitespace() {
        let (name, text) = file.split_once('=').unwrap();
        fs::write(root.path().join("out").join(long(name)), text).unwrap();
    }
    let position = position(root.path(), parts);
    let positions = [(CoreId::new(1), &position[..])];
    let directory = root.path().join("out");
    let recovered = recover_parts(&SystemFiles, &directory, OWNER, &positions);
    if recovered.is_ok() {
        let first = shown(root.path());
        let again = recover_parts(&SystemFiles, &directory, OWNER, &positions).unwrap();
        assert!(again.notes.iter().all(|note| !note.starts_with("completed")), "{again:?}");
        assert_eq!(shown(root.path()), first, "done again");
    }
    (root, recovered)
}

#[track_caller]
fn check(files: &str, parts: &str, expected: &str, notes: &str) {
    let (root, recovered) = recovered(files, parts);
    let RecoveredParts { run_max, notes: said } = recovered.unwrap();
    assert_eq!((shown(root.path()).as_str(), run_max), (expected, 2));
    let out = format!("{}/", root.path().join("out").display());
    assert_eq!(said.join("; ").replace(&out, "").replace(".txt", ""), notes);
}

#[test]
fn parts_are_cut_completed_and_renamed() {
    check("", "", "", "");
    check(
        "~part-0002-01-00000=abcdef",
        "0:4",
        "part-0002-01-00000=abcd",
        "completed what an earlier run left open: part-0002-01-00000",
    );
    check(
        "~part-0002-01-00000=abcdef ~part-0002-01-00001=gh part-0002-00-00000=x",
        "0:6 1:1+.",
        "part-0002-00-00000=x part-0002-01-00000=abcdef part-0002-01-00001=g.",
        "completed what an earlier run left open: part-0002-01-00000, part-0002-01-00001",
    );
}

#[test]
fn what_was_released_stays_as_it_is() {
    check("part-0002-01-00000=abcdef", "0:4+.", "part-0002-01-00000=abcdef", "");
    let many: String = (0..5).map(|number| format!("{number}:4 ")).collect();
    check(
        "",
        &many,
        "",
        "taken for read and moved away, because the files are gone: part-0002-01-00000, \
         part-0002-01-00001, part-0002-01-00002 and 2 more",
    );
}

#[test]
fn what_no_epoch_knows_is_removed_and_what_is_not_ours_is_not() {
    check(
        "~part-0002-01-00001=a ~part-0001-00-00000=b ?part-0002-01-00001=c other=d",
        "",
        "?part-0002-01-00001=c other=d",
        "",
    );
    // Not by its owner's number: nobody knows whose it is.
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join(".part-0002-01-00000.txt.open");
    fs::write(&path, "x").unwrap();
    let recovered = recover_parts(&SystemFiles, root.path(), OWNER, &[]).unwrap();
    assert_eq!(recovered, RecoveredParts { run_max: 0, notes: Vec::new() });
    assert!(path.exists());
}

#[test]
fn missing_rows_are_told_and_nothing_is_changed() {
    let files = "~part-0002-01-00000=abcdef ~part-0002-01-00001=gh ~part-0002-01-00007=x";
    let (root, refused) = recovered(files, "0:4 1:3");
    let failure = refused.unwrap_err();
    assert_eq!(failure.class, FailureClass::Data);
    assert!(failure.message.contains("has 2 bytes, and 3 were durable"), "{failure:?}");
    assert!(failure.message.contains(".part-0002-01-00001.txt"), "{failure:?}");
    assert_eq!(shown(root.path()), files);
}

#[test]
fn a_name_that_another_file_has_is_told() {
    let files = "part-0002-01-00000=precious ~part-0002-01-00000=abcdef";
    let (root, refused) = recovered(files, "0:4");
    let failure = refused.unwrap_err();
    assert_eq!(failure.class, FailureClass::Data);
    assert!(failure.message.contains("another file has that name; move that file away"));
    assert!(shown(root.path()).contains("part-0002-01-00000=precious"));
}

#[test]
fn a_file_under_both_names_was_being_renamed() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("out");
    fs::create_dir(&out).unwrap();
    let [hidden, visible] =
        ["~part-0002-01-00000", "part-0002-01-00000"].map(|name| out.join(long(name)));
    fs::write(&hidden, "abcd").unwrap();
    fs::hard_link(&hidden, &visible).unwrap();
    let position = position(root.path(), "0:4");
    recover_parts(&SystemFiles, &out, OWNER, &[(CoreId::new(1), &position)]).unwrap();
    assert_eq!(shown(root.path()), "part-0002-01-00000=abcd");
}

#[test]
fn parts_are_found_where_the_directory_was_moved_to() {
    let root = tempfile::tempdir().unwrap();
    let position = position(&root.path().join("gone"), "0:4 1:2");
    fs::create_dir(root.path().join("out")).unwrap();
    let hidden = root.path().join("out").join(long("~part-0002-01-00000"));
    fs::write(hidden, "abcdef").unwrap();
    fs::write(root.path().join("out").join(long("part-0002-01-00001")), "gh").unwrap();
    let positions = [(CoreId::new(1), &position[..])];
    let out = root.path().join("out");
    recover_parts(&SystemFiles, &out, OWNER, &positions).unwrap();
    assert_eq!(shown(root.path()), "part-0002-01-00000=abcd part-0002-01-00001=gh");
}

#[test]
fn parts_in_the_directory_before_are_completed_there() {
    let root = tempfile::tempdir().unwrap();
    let position = position(root.path(), "0:4");
    fs::create_dir(root.path().join("out")).unwrap();
    for name in ["~part-0002-01-00000", "~part-0002-01-00005"] {
        fs::write(root.path().join("out").join(long(name)), "abcdef").unwrap();
    }
    let now = root.path().join("elsewhere");
    PartOwner::hold(&now, OWNER).unwrap();
    recover_parts(&SystemFiles, &now, OWNER, &[(CoreId::new(1), &position)]).unwrap();
    assert_eq!(shown(root.path()), "part-0002-01-00000=abcd");
}

#[test]
fn what_is_no_position_is_told() {
    let failure =
        recover_parts(&SystemFiles, Path::new("out"), OWNER, &[(CoreId::new(1), b"\x09")]);
    let failure = failure.unwrap_err();
    assert_eq!(failure.class, FailureClass::Data);
    assert!(failure.message.contains("core 1 noted of its open parts"), "{failure:?}");
}
