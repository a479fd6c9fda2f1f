//! Who calls the service of a model.

use serde::Deserialize;

/// Who calls the service, as the server names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Calls {
    /// A worker, which may wait in it.
    Worker,
    /// A loop, which must not.
    Loop,
    /// A thread beside the loop, which may.
    ExtraThread,
    /// A task, which may await.
    Task,
}
