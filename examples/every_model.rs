//! Every model and variant that listens, for the tests of programs that run on any.

use turnstile::{Calls, Count, Holds, Listeners, Model, Variant};

/// One of them.
#[derive(Clone, Copy)]
pub struct Column {
    pub model: &'static Model,
    pub variant: &'static Variant,
}

/// All of them.
pub fn columns() -> impl Iterator<Item = Column> {
    let models = turnstile::models::ALL.iter();
    let all = models.flat_map(|&model| {
        model
            .variants
            .iter()
            .map(move |variant| Column { model, variant })
    });
    all.filter(|column| column.variant.needs.listeners != Listeners::None)
}

#[allow(dead_code)] // Each test uses its own part of this.
impl Column {
    /// `prefork:flock`.
    pub fn label(&self) -> String {
        match self.variant.name {
            "-" => self.model.name.to_owned(),
            variant => format!("{}:{variant}", self.model.name),
        }
    }

    /// Whether its workers may wait in a call.
    pub fn may_wait(&self) -> bool {
        self.variant.workers.calls != Calls::Loop
    }

    /// Whether all its workers are in one process.
    pub fn is_one_process(&self) -> bool {
        !self.variant.workers.processes || self.variant.workers.count == Count::One
    }

    /// Whether it serves several connections at once.
    pub fn is_concurrent(&self) -> bool {
        self.variant.workers.holds != Holds::One
    }
}
