//! Which connections are listed, and in which order.

use std::cmp::Ordering;

use asyncore_http::{Refusal, Request};

use super::snapshot::Row;

/// Number of connections that are listed unless the request says otherwise, and its maximum.
const DEFAULT_LIMIT: usize = 1_000;
const MAX_LIMIT: usize = 10_000;

/// A request for the first connections by some order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) sort: Sort,
    pub(crate) ascending: bool,
    pub(crate) limit: usize,
}

/// An order of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Rule,
    Client,
    Target,
    Age,
    Idle,
    BytesUp,
    BytesDown,
    Queued,
    PerSecond,
}

impl Sort {
    /// All orders, in the order of the columns.
    pub(crate) const ALL: [Sort; 9] = [
        Sort::Client,
        Sort::Rule,
        Sort::Target,
        Sort::Age,
        Sort::Idle,
        Sort::BytesUp,
        Sort::BytesDown,
        Sort::Queued,
        Sort::PerSecond,
    ];

    /// Its name in a request.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Sort::Rule => "rule",
            Sort::Client => "client",
            Sort::Target => "target",
            Sort::Age => "age",
            Sort::Idle => "idle",
            Sort::BytesUp => "bytes_up",
            Sort::BytesDown => "bytes_down",
            Sort::Queued => "queued",
            Sort::PerSecond => "per_second",
        }
    }
}

impl Listing {
    /// The busiest first.
    pub(crate) const DEFAULT: Listing =
        Listing { sort: Sort::PerSecond, ascending: false, limit: DEFAULT_LIMIT };

    /// Parses a query such as `?sort=age&order=ascending&limit=100`.
    pub(crate) fn parse(request: &Request) -> Result<Self, Refusal> {
        let mut listing = Listing::DEFAULT;
        if let Some(sort) = request.parameter("sort") {
            listing.sort = Sort::ALL.into_iter().find(|it| it.name() == sort).ok_or_else(|| {
                let names = Sort::ALL.map(Sort::name).join(", ");
                Refusal::new(400, format!("sort: write one of {names}"))
            })?;
        }
        listing.ascending = match request.parameter("order") {
            None | Some("descending") => false,
            Some("ascending") => true,
            Some(_) => return Err(Refusal::new(400, "order: write ascending or descending")),
        };
        if let Some(limit) = request.parameter("limit") {
            listing.limit =
                limit.parse().ok().filter(|limit| *limit <= MAX_LIMIT).ok_or_else(|| {
                    Refusal::new(400, format!("limit: write a number from 0 to {MAX_LIMIT}"))
                })?;
        }
        Ok(listing)
    }

    /// Returns the first rows in this order.
    pub(crate) fn select<'r>(&self, rows: &'r [Row]) -> Vec<&'r Row> {
        let mut rows: Vec<&Row> = rows.iter().collect();
        let compare = |a: &&Row, b: &&Row| self.compare(a, b);
        if rows.len() > self.limit {
            if self.limit > 0 {
                rows.select_nth_unstable_by(self.limit - 1, compare);
            }
            rows.truncate(self.limit);
        }
        rows.sort_unstable_by(compare);
        rows
    }

    fn compare(&self, a: &Row, b: &Row) -> Ordering {
        let order = match self.sort {
            Sort::Rule => a.rule.name.cmp(&b.rule.name),
            Sort::Client => a.client.cmp(&b.client),
            Sort::Target => a.endpoint().cmp(&b.endpoint()),
            Sort::Age => a.age.cmp(&b.age),
            Sort::Idle => a.idle.cmp(&b.idle),
            Sort::BytesUp => a.bytes.up.cmp(&b.bytes.up),
            Sort::BytesDown => a.bytes.down.cmp(&b.bytes.down),
            Sort::Queued => a.queued().cmp(&b.queued()),
            Sort::PerSecond => a.per_second.cmp(&b.per_second),
        };
        let order = if self.ascending { order } else { order.reverse() };
        // Equal rows keep their places from one second to the next.
        order.then_with(|| b.age.cmp(&a.age)).then_with(|| a.client.cmp(&b.client))
    }
}

#[cfg(test)]
mod tests;
