use std::sync::Arc;
use std::time::Duration;

use asyncore_http::Request;
use proptest::prelude::*;

use super::*;
use crate::config::{Listen, Rule};
use crate::status::report::ConnectionState;
use crate::status::totals::Bytes;

fn parse(query: &str) -> Result<Listing, Refusal> {
    let head = format!("GET /status.json?{query} HTTP/1.1\r\nHost: x");
    Listing::parse(&Request::parse(head.as_bytes()).unwrap())
}

#[test]
fn a_query_says_how_many_and_in_which_order() {
    assert_eq!(parse("").unwrap(), Listing::DEFAULT);
    let asked = parse("sort=client&order=ascending&limit=7").unwrap();
    assert_eq!(asked, Listing { sort: Sort::Client, ascending: true, limit: 7 });
    for sort in Sort::ALL {
        assert_eq!(parse(&format!("sort={}", sort.name())).unwrap().sort, sort);
    }
    for (query, word) in [
        ("sort=size", "per_second"),
        ("order=up", "ascending"),
        ("limit=10001", "10000"),
        ("limit=-1", "10000"),
    ] {
        let refusal = parse(query).unwrap_err();
        assert!(refusal.status == 400 && refusal.why.contains(word), "{query}: {refusal:?}");
    }
}

/// Rows that differ in all that is sorted by.
fn rows(numbers: &[u64]) -> Vec<Row> {
    let row = |n: &u64| {
        let mut rule = Rule::new(Listen::Tcp(([127, 0, 0, 1], 80).into()), Vec::new());
        rule.name = format!("{n:08}");
        Row {
            worker: 0,
            number: *n,
            rule: Arc::new(rule),
            client: Some((u32::try_from(*n).unwrap().to_be_bytes(), 1).into()),
            target: None,
            state: ConnectionState::Open,
            age: Duration::from_millis(*n),
            connect_time: None,
            idle: Duration::from_millis(*n),
            bytes: Bytes { up: *n, down: *n },
            per_second: *n,
            queued_up: usize::try_from(*n).unwrap(),
            queued_down: 0,
        }
    };
    numbers.iter().map(row).collect()
}

proptest! {
    #[test]
    fn what_is_listed_is_what_sorting_everything_would_list(
        numbers in proptest::collection::hash_set(0..1_000_000u64, 0..200),
        limit in 0..250usize,
        sort in 0..Sort::ALL.len(),
        ascending: bool,
    ) {
        let listing = Listing { sort: Sort::ALL[sort], ascending, limit };
        let numbers: Vec<u64> = numbers.into_iter().collect();
        let rows = rows(&numbers);
        let listed = listing.select(&rows);
        let mut sorted = numbers;
        sorted.sort_unstable();
        // No row has a target; among equals the oldest comes first.
        if !ascending || listing.sort == Sort::Target {
            sorted.reverse();
        }
        sorted.truncate(limit);
        prop_assert_eq!(listed.iter().map(|row| row.per_second).collect::<Vec<_>>(), sorted);
    }
}
