//! A rule on the command line: `LISTEN=TARGET[,TARGET]…`.
//!
//! The first `=` ends the listening address and commas end the targets; a Unix path that contains
//! one of them can be written in a file only.

use std::fmt;
use std::str::FromStr;

use super::invalid::{Invalid, quoted};
use super::model::{Listen, Target};

/// From where to where: the part of a rule that has no default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it listens.
    pub listen: Listen,
    /// At least one.
    pub targets: Vec<Target>,
}

impl Route {
    /// The route from `listen` to the targets that stand in `targets` with commas between them.
    ///
    /// # Errors
    ///
    /// When one of them is not an address, or there is no target.
    pub fn new(listen: &str, targets: &str) -> Result<Self, Invalid> {
        Ok(Route {
            listen: listen.trim().parse()?,
            targets: targets
                .split(',')
                .map(|text| text.trim().parse())
                .collect::<Result<_, _>>()?,
        })
    }
}

impl FromStr for Route {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (listen, targets) = text.split_once('=').ok_or_else(|| {
            Invalid::new(format!(
                "{} has no '=': write LISTEN=TARGET, such as 8080=10.0.0.5:80",
                quoted(text)
            ))
        })?;
        if listen.trim().is_empty() || targets.trim().is_empty() {
            let side = if listen.trim().is_empty() { "before" } else { "behind" };
            return Err(Invalid::new(format!(
                "{} has nothing {side} its '=': write LISTEN=TARGET, such as 8080=10.0.0.5:80",
                quoted(text)
            )));
        }
        Route::new(listen, targets)
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", self.listen)?;
        for (i, target) in self.targets.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{target}")?;
        }
        Ok(())
    }
}
