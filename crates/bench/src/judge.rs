//! What the readings amount to: figures, and the reasons why some may not be believed.

pub mod beside;
pub mod capacity;
pub mod fairness;
pub mod figures;
pub mod gates;
pub mod lateness;
pub mod phases;
pub mod verify;
