//! What the program does other than to forward.

use clap::CommandFactory;

use crate::config::schema;
use crate::config::value::Period;

use super::Command;
use super::args::{Args, Task, TopAddress};
use super::usage::Usage;

pub(super) fn command(task: Task) -> Result<Command, Usage> {
    Ok(match task {
        Task::Top { every: Period(every), .. } if every.is_zero() => {
            return Err(Usage::new("--every: 0 would ask without a pause: write a longer time"));
        }
        Task::Top { address: TopAddress(address), every: Period(every) } => {
            Command::Top { address, every }
        }
        Task::Completions { shell } => Command::Print(completions(shell)),
        Task::Man => Command::Print(man()),
        Task::Schema => Command::Print(schema::text()),
    })
}

fn completions(shell: clap_complete::Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "forwarder", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn man() -> String {
    let mut text = Vec::new();
    // Writing to memory does not fail.
    let _ = clap_mangen::Man::new(Args::command()).render(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}
