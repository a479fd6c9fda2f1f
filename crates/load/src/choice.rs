//! Options of the command line whose value is one of a few names.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// A value of an option: its name, what it means, and what it stands for.
pub(crate) type Choice<T> = (&'static str, &'static str, T);

/// Takes one of these values by its name.
pub(crate) fn choice<T: Copy + Send + Sync + 'static>(
    choices: &'static [Choice<T>],
) -> impl TypedValueParser<Value = T> {
    let possible = choices
        .iter()
        .map(|(name, help, _)| PossibleValue::new(*name).help(*help));
    PossibleValuesParser::new(possible).try_map(move |given| {
        let chosen = choices.iter().find(|(name, _, _)| *name == given);
        chosen.map(|&(_, _, value)| value).ok_or("it is not known")
    })
}
