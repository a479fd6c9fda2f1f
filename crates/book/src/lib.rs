//! The Rust code of the README and of docs/, compiled as doctests: a change of the library that breaks a
//! page breaks `cargo test -p book`. Shell blocks are run by the test `book` of `turnstile-command`, which
//! also sees to it that no page with Rust code is missing here.

macro_rules! pages {
    ($($name:ident $path:literal)*) => {
        $(
            #[cfg(doctest)]
            #[doc = include_str!(concat!("../../../", $path))]
            pub mod $name {}
        )*
    };
}

pages! {
    readme "README.md"
    getting_started "docs/getting-started.md"
    service "docs/service.md"
    http "docs/http.md"
}
