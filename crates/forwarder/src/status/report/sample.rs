//! A report for tests: one rule, one well and one resting target, two workers of which one is
//! silent.

use super::*;

pub(crate) fn sample() -> Report {
    let counts = Counts { accepted: 40, refused: 4, bytes_up: 1500, bytes_down: 2500 };
    Report {
        version: "1.2.3".to_owned(),
        uptime: 3725.0,
        draining: false,
        actions: true,
        workers: vec![
            WorkerReport { answers: true, open: 3, passes: 100, events: 120, errors: 0 },
            WorkerReport { answers: false, open: 0, passes: 0, events: 0, errors: 0 },
        ],
        open: 3,
        max_connections: 1000,
        total: counts,
        per_second: Rates { accepted: 2, refused: 0, bytes_up: 1024, bytes_down: 2048 },
        log_lines_dropped: 8,
        history: History {
            ago: vec![2.0, 1.0, 0.0],
            open: vec![1, 2, 3],
            accepted: vec![0, 1, 2],
            bytes_up: vec![0, 512, 1024],
            bytes_down: vec![0, 4096, 2048],
        },
        rules: vec![rule()],
        connections: vec![connection("0-1", "192.0.2.7:4000"), connection("0-3", "192.0.2.8:5")],
        connections_left_out: 1,
    }
}

fn rule() -> RuleReport {
    RuleReport {
        name: "web".to_owned(),
        listen: "0.0.0.0:80".to_owned(),
        balance: "round-robin".to_owned(),
        open: 3,
        max_connections: 100,
        clients: 2,
        accepted: 40,
        refused: vec![
            ForReason { reason: "rate".to_owned(), count: 4 },
            ForReason { reason: "denied".to_owned(), count: 0 },
        ],
        waits: vec![ForReason { reason: "rule_limit".to_owned(), count: 7 }],
        ended: vec![ForReason { reason: "target_stalled".to_owned(), count: 5 }],
        dropped: vec![ForReason { reason: "rate_limit".to_owned(), count: 9 }],
        bytes_up: 1500,
        bytes_down: 2500,
        bytes_up_per_second: 1024,
        bytes_down_per_second: 2048,
        targets: vec![
            target("10.0.0.5:80", HealthReport::Up),
            TargetReport {
                retry_in: Some(12.0),
                bytes_up: 0,
                bytes_down: 0,
                last_error: Some(ErrorReport { ago: 61.0, text: "refused".to_owned() }),
                ..target("10.0.0.6:80", HealthReport::BackingOff)
            },
        ],
    }
}

fn target(endpoint: &str, health: HealthReport) -> TargetReport {
    TargetReport {
        endpoint: endpoint.to_owned(),
        weight: 1,
        health,
        retry_in: None,
        drained: false,
        active: 3,
        total: 38,
        failures: 2,
        bytes_up: 1500,
        bytes_down: 2500,
        bytes_up_per_second: 1024,
        bytes_down_per_second: 2048,
        last_error: None,
    }
}

fn connection(id: &str, client: &str) -> ConnectionReport {
    ConnectionReport {
        id: id.to_owned(),
        rule: "web".to_owned(),
        client: Some(client.to_owned()),
        target: Some("10.0.0.5:80".to_owned()),
        state: ConnectionState::Open,
        age: 90.0,
        connect_time: Some(0.003),
        idle: 0.2,
        bytes_up: 1000,
        bytes_down: 2000,
        per_second: 3072,
        queued: 0,
        queued_up: 0,
        queued_down: 0,
    }
}
