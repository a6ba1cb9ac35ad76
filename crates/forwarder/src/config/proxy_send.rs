//! The choice of a PROXY header, as it is written.

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::Deserialize;

use super::model::ProxyVersion;

/// Which PROXY header is sent.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ProxySend {
    /// No header.
    None,
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

impl ProxySend {
    pub(super) fn version(self) -> Option<ProxyVersion> {
        match self {
            ProxySend::None => None,
            ProxySend::V1 => Some(ProxyVersion::V1),
            ProxySend::V2 => Some(ProxyVersion::V2),
        }
    }
}
