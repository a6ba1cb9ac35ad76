//! Errors as callbacks return them, and their formatting.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use asyncore::{Error, ExitNow, Panicked, Result};

/// An error with a source.
#[derive(Debug)]
struct Caused(&'static str, Option<Box<Caused>>);

impl fmt::Display for Caused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl StdError for Caused {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.1.as_deref().map(|cause| cause as _)
    }
}

fn caused_by(text: &'static str, cause: Caused) -> Caused {
    Caused(text, Some(Box::new(cause)))
}

#[test]
fn an_error_shows_its_chain_of_causes_on_one_line() {
    let root = Caused("the disk\r\nis full", None);
    let error = Error::from(caused_by("cannot log in", caused_by("cannot write", root)));
    assert_eq!(error.to_string(), "cannot log in: cannot write: the disk  is full");
    let chain: Vec<String> = error.chain().map(ToString::to_string).collect();
    assert_eq!(chain, ["cannot log in", "cannot write", "the disk\r\nis full"]);
}

#[test]
fn a_cause_repeated_in_the_text_is_shown_once() {
    let root = Caused("the disk is full", None);
    let error = Error::from(caused_by("cannot write: the disk is full", root));
    assert_eq!(error.to_string(), "cannot write: the disk is full");
    assert_eq!(error.chain().count(), 2);
}

#[test]
fn every_standard_error_converts_and_can_be_downcast() {
    fn parse(text: &str) -> Result<u16> {
        Ok(text.parse()?)
    }
    assert_eq!(parse("80").unwrap(), 80);
    assert!(parse("x").unwrap_err().is::<std::num::ParseIntError>());

    let error = Error::from(io::Error::from(io::ErrorKind::NotFound));
    assert_eq!(error.downcast_ref::<io::Error>().unwrap().kind(), io::ErrorKind::NotFound);
    assert!(error.downcast_ref::<Caused>().is_none());
}

#[test]
fn a_string_converts_into_an_error() {
    let error = Error::msg("a bad request");
    assert_eq!((error.to_string().as_str(), error.chain().count()), ("a bad request", 1));
    assert_eq!(format!("{error:?}"), "\"a bad request\"");
}

#[test]
fn exit_now_is_an_error_kind_of_its_own() {
    let error = Error::from(ExitNow);
    assert!(error.is::<ExitNow>() && !error.is::<Panicked>());
    assert_eq!(error.to_string(), "a callback requested to leave the loop");
}
