//! Enumerations whose values are counted by name.

/// Declares one, with the name under which each value is counted in the result.
macro_rules! named {
    (
        $(#[$meta:meta])*
        $vis:vis enum $enum:ident { $($(#[doc = $doc:literal])+ $value:ident = $name:literal,)+ }
    ) => {
        $(#[$meta])*
        $vis enum $enum {
            $($(#[doc = $doc])+ $value,)+
        }

        impl $enum {
            /// Every value, in the order of their declaration.
            $vis const ALL: [Self; [$($name),+].len()] = [$(Self::$value),+];

            /// The key under which it is counted.
            $vis fn name(self) -> &'static str {
                match self {
                    $(Self::$value => $name,)+
                }
            }
        }
    };
}

pub(crate) use named;
