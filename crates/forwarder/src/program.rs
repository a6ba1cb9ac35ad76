//! The program, from its arguments to its exit code.
//!
//! | code | |
//! |---|---|
//! | 0 | it did what it was asked to, and every connection came to its end |
//! | 1 | it could not start, or the configuration file is wrong |
//! | 2 | the command line is wrong |
//! | 3 | it stopped with connections still open: the drain was too short, or was cut short |

use std::env;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;

use crate::cli::{self, Command};
use crate::config::{Config, Endpoint};
use crate::logging;
use crate::reload::Source;
use crate::server::{self, Outcome};
use crate::site::Site;

/// Does what the process's arguments say.
pub fn main() -> ExitCode {
    let command = match cli::parse(env::args_os()) {
        Ok(command) => command,
        Err(usage) => {
            eprintln!("forwarder: {usage}");
            return ExitCode::from(usage.exit_code());
        }
    };
    match run(command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("forwarder: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Print(text) => {
            use std::io::Write as _;
            // A reader that has seen enough, such as `head`, is no error.
            let _ = std::io::stdout().write_all(text.as_bytes());
            Ok(ExitCode::SUCCESS)
        }
        Command::Check(config) => {
            match config.rules.len() {
                1 => println!("1 rule, all well"),
                rules => println!("{rules} rules, all well"),
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Top { address, every } => {
            crate::top::run(&address, every)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Demo(mut config) => {
            let site = Site::listen().context("the built-in site cannot listen")?;
            let (host, port) = (site.addr().ip().to_string(), site.addr().port());
            for target in config.rules.iter_mut().flat_map(|rule| &mut rule.targets) {
                target.endpoint = Endpoint::Host(host.clone(), port);
            }
            if let Some(rule) = config.rules.first() {
                println!("http://{}/ shows what is going through this forwarder", rule.listen);
                println!("'forwarder --help' tells how to forward somewhere else");
            }
            serve(&config, None, Some(site))
        }
        Command::Run { config, source } => {
            let path = source.file().map(ToOwned::to_owned);
            let load = move || {
                let config = source.load().context("the configuration cannot be used")?;
                config.warn();
                Ok(config)
            };
            serve(&config, path.map(|path| Source { path, load: Arc::new(load) }), None)
        }
    }
}

fn serve(config: &Config, source: Option<Source>, site: Option<Site>) -> anyhow::Result<ExitCode> {
    let _flush_at_end = logging::start(&config.log)?;
    config.warn();
    Ok(match server::serve(config, source, site)? {
        Outcome::Drained => ExitCode::SUCCESS,
        Outcome::CutOff => ExitCode::from(3),
    })
}
