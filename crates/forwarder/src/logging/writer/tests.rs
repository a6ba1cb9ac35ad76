use std::io::Read as _;
use std::time::Instant;

use super::*;

const LINE: &[u8] = b"a line of the log, long enough for a pipe to be full after some of them\n";

/// A pipe, and a log that is written to it.
fn piped() -> (io::PipeReader, &'static Writer) {
    let (reader, writer) = io::pipe().unwrap();
    (reader, Writer::start(File::from(std::os::fd::OwnedFd::from(writer))).unwrap())
}

fn log(mut writer: &Writer) {
    writer.write_all(LINE).unwrap();
}

#[test]
fn a_log_that_is_not_read_holds_nobody_up_and_loses_whole_lines_that_are_counted() {
    let (mut reader, writer) = piped();
    let logged = 4 * MAX_PENDING_BYTES / LINE.len();
    (0..logged).for_each(|_| log(writer));
    let dropped = writer.lines_dropped() as usize;
    assert!(dropped > logged / 4 && dropped < logged, "{dropped} of {logged} lines");
    let mut read = vec![0; (logged - dropped) * LINE.len()];
    reader.read_exact(&mut read).unwrap();
    assert!(read.chunks(LINE.len()).all(|line| line == LINE));
}

#[test]
fn the_end_waits_for_the_last_lines_but_not_for_a_reader_that_hangs() {
    let (mut reader, writer) = piped();
    log(writer);
    writer.flush();
    let mut line = [0; LINE.len()];
    assert_eq!(reader.read(&mut line).unwrap(), LINE.len());
    (0..MAX_PENDING_BYTES / LINE.len()).for_each(|_| log(writer));
    let began = Instant::now();
    writer.flush();
    assert!(began.elapsed() >= FLUSH_TIMEOUT, "nothing was waited for");
}

#[test]
fn lines_after_a_change_go_to_the_new_file_and_one_that_cannot_be_opened_changes_nothing() {
    let (mut first, writer) = piped();
    let (mut second, file) = io::pipe().unwrap();
    writer.write_to(|| anyhow::bail!("no such file"));
    log(writer);
    writer.flush();
    writer.write_to(move || Ok(File::from(std::os::fd::OwnedFd::from(file))));
    writer.flush();
    log(writer);
    let mut line = [0; LINE.len()];
    second.read_exact(&mut line).unwrap();
    let mut earlier = Vec::new();
    first.read_to_end(&mut earlier).unwrap();
    assert_eq!((&line[..], &earlier[..]), (LINE, LINE));
}

#[test]
fn lines_for_a_reader_that_has_gone_are_counted_as_dropped() {
    let (reader, writer) = piped();
    drop(reader);
    log(writer);
    writer.flush();
    assert_eq!(writer.lines_dropped(), 1);
}
